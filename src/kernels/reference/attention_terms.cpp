#include "kernels/reference/attention_terms.h"

#include <algorithm>
#include <cmath>

#include "core/dtype.h"

namespace vitrail::kernels::reference {
namespace {

using Row = std::vector<double>;

// Token n of sequence b and head h, as it lies in memory.
Row read_token(const AttentionArgs& args, const HeadView& view, const int32_t* rows, int64_t count,
               int64_t b, int64_t h, int64_t n) {
  const int64_t windows = args.tokens.windows;
  const int64_t row = rows == nullptr ? n : rows[b % windows * count + n];
  const float* from = nullptr;
  if (row >= 0)
    from = view.data + b / windows * view.stride[0] + h * view.stride[1] + row * view.stride[2];
  else if (view.padding != nullptr)
    from = view.padding + h * view.stride[1];
  Row x(static_cast<size_t>(args.shape.head_dim));
  for (size_t i = 0; i < x.size() && from != nullptr; ++i) x[i] = from[i];
  return x;
}

// The norm's n = (x - mean) * factor, its Jacobian's three numbers.
struct Normalized {
  Row n;
  double factor = 1, mean_share = 0, along_share = 0;
};
Normalized normalize_row(const HeadNorm& norm, Row x) {
  const auto d = static_cast<double>(x.size());
  Normalized out;
  double squares = 0;
  if (norm.kind == HeadNormKind::layer) {
    double mean = 0;
    for (const double v : x) mean += v / d;
    for (double& v : x) v -= mean;
    out.mean_share = 1 / d;
  }
  for (const double v : x) squares += v * v;
  switch (norm.kind) {
    case HeadNormKind::none:
      break;
    case HeadNormKind::layer:
    case HeadNormKind::rms:
      out.factor = 1 / std::sqrt(squares / d + static_cast<double>(norm.epsilon));
      out.along_share = 1 / d;
      break;
    case HeadNormKind::l2: {
      const double length = std::sqrt(squares), least = static_cast<double>(norm.epsilon);
      out.factor = 1 / std::max(length, least);
      out.along_share = length > least ? 1 : 0;
      break;
    }
  }
  for (double& v : x) v *= out.factor;
  out.n = std::move(x);
  return out;
}

struct PairOf {
  size_t a, b;
};
PairOf pair_of(const Rotary& rotary, size_t i, size_t dim) {
  return rotary.interleaved ? PairOf{2 * i, 2 * i + 1} : PairOf{i, i + dim / 2};
}
void rotate_row(const Rotary& rotary, int64_t h, int64_t n, double direction, Row& x) {
  if (rotary.cosine == nullptr || n < rotary.prefix) return;
  const auto half = static_cast<int64_t>(x.size() / 2);
  for (int64_t i = 0; i < half; ++i) {
    const int64_t at = h * rotary.head_stride + (n - rotary.prefix) * half + i;
    const double c = rotary.cosine[at], s = direction * rotary.sine[at];
    const auto [first, second] = pair_of(rotary, static_cast<size_t>(i), x.size());
    const double a = x[first], b = x[second];
    x[first] = a * c - b * s;
    x[second] = b * c + a * s;
  }
}

double weight_of(const float* values, size_t i, double none) {
  return values == nullptr ? none : static_cast<double>(values[i]);
}
// gain * (weight * n + bias)
Row scale_row(const HeadNorm& norm, int64_t h, const Row& n, bool gained) {
  Row y(n.size());
  const double gain = gained ? weight_of(norm.gain, static_cast<size_t>(h), 1) : 1;
  for (size_t i = 0; i < n.size(); ++i)
    y[i] = gain * (weight_of(norm.weight, i, 1) * n[i] + weight_of(norm.bias, i, 0));
  return y;
}

void transform_row(const HeadTransform& transform, int64_t h, int64_t n, Row& x) {
  x = scale_row(transform.norm, h, normalize_row(transform.norm, x).n, true);
  rotate_row(transform.rotary, h, n, 1, x);
}

void transform_back(const HeadTransform& transform, int64_t h, int64_t n, const Row& x, Row& dy,
                    TransformGradients& sums) {
  const HeadNorm& norm = transform.norm;
  const Normalized normalized = normalize_row(norm, x);
  rotate_row(transform.rotary, h, n, -1, dy);
  const Row y = scale_row(norm, h, normalized.n, true);
  const Row ungained = scale_row(norm, h, normalized.n, false);
  if (transform.rotary.cosine != nullptr && n >= transform.rotary.prefix) {
    const size_t half = x.size() / 2;
    const size_t tokens = sums.angles.size() / half / sums.gain.size();
    const size_t token = static_cast<size_t>(n - transform.rotary.prefix);
    for (size_t i = 0; i < half; ++i) {
      const auto [a, b] = pair_of(transform.rotary, i, x.size());
      sums.angles[(static_cast<size_t>(h) * tokens + token) * half + i] +=
          dy[b] * y[a] - dy[a] * y[b];
    }
  }
  double mean = 0, along = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sums.gain[static_cast<size_t>(h)] += dy[i] * ungained[i];
    dy[i] *= weight_of(norm.gain, static_cast<size_t>(h), 1);
    sums.bias[i] += dy[i];
    sums.weight[i] += dy[i] * normalized.n[i];
    dy[i] *= weight_of(norm.weight, i, 1);
    mean += dy[i] * normalized.mean_share;
    along += dy[i] * normalized.n[i] * normalized.along_share;
  }
  for (size_t i = 0; i < x.size(); ++i)
    dy[i] = normalized.factor * (dy[i] - mean - normalized.n[i] * along);
}

double rounded_value(double x, Precision precision) {
  if (precision == Precision::f32) return x;
  return static_cast<double>(bf16_to_f32(f32_to_bf16(static_cast<float>(x))));
}

std::vector<double> operand(const AttentionArgs& args, const HeadView& view, const int32_t* rows,
                            int64_t count, const HeadTransform& transform, bool rounds) {
  std::vector<double> out;
  for (int64_t b = 0; b < args.shape.batch; ++b)
    for (int64_t h = 0; h < args.shape.heads; ++h)
      for (int64_t n = 0; n < count; ++n) {
        Row x = read_token(args, view, rows, count, b, h, n);
        transform_row(transform, h, n, x);
        for (const double v : x) out.push_back(rounds ? rounded_value(v, args.precision) : v);
      }
  return out;
}

double distance(const DistanceSlopes& term, int64_t i, int64_t j) {
  if (i < term.prefix || j < term.prefix) return 0;
  const double dy = term.query_places[2 * i] - term.key_places[2 * j];
  const double dx = term.query_places[2 * i + 1] - term.key_places[2 * j + 1];
  return std::sqrt(dy * dy + dx * dx);
}

// visit(table, its gradient, entry) for the row's and the column's term of a pair.
template <class Visit>
void for_both_axes(const DecomposedTables& term, int64_t i, int64_t j, const Visit& visit) {
  if (term.rows == nullptr) return;
  visit(term.rows, false, i / term.width - j / term.width + term.height - 1);
  visit(term.columns, true, i % term.width - j % term.width + term.width - 1);
}

template <class Visit>
void for_each_score(const AttentionShape& s, const Visit& visit) {
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t i = 0; i < s.queries; ++i)
        for (int64_t j = 0; j < s.keys; ++j) visit(b, h, i, j);
}

}  // namespace

AttentionInput spread(const AttentionArgs& args) {
  const AttentionShape& s = args.shape;
  const AttentionBias& bias = args.bias;
  AttentionInput in{.batch = s.batch,
                    .heads = s.heads,
                    .queries = s.queries,
                    .keys = s.keys,
                    .head_dim = s.head_dim,
                    .scale = args.scale,
                    .causal = bias.causal};
  in.q = operand(args, args.q, args.tokens.query_rows, s.queries, args.q_transform, true);
  in.k = operand(args, args.k, args.tokens.key_rows, s.keys, args.k_transform, true);
  in.v = operand(args, args.v, args.tokens.key_rows, s.keys, {}, true);
  if (bias.key_lengths != nullptr) in.key_lengths = {bias.key_lengths, bias.key_lengths + s.batch};
  if (!bias.adds()) return in;
  // The products with the decomposed tables are of q before it is rounded.
  const std::vector<double> q =
      operand(args, args.q, args.tokens.query_rows, s.queries, args.q_transform, false);
  for_each_score(s, [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    double sum = 0;
    if (bias.dense != nullptr)
      sum += bias.dense[b * bias.stride[0] + h * bias.stride[1] + i * bias.stride[2] +
                        j * bias.stride[3]];
    if (bias.by_key != nullptr)
      sum += bias.by_key[b * bias.key_stride[0] + h * bias.key_stride[1] + j * bias.key_stride[2]];
    if (bias.table.values != nullptr) {
      const int64_t entry = bias.table.entry(i, j, s.keys);
      if (entry >= 0) sum += bias.table.values[entry * s.heads + h];
    }
    if (bias.distance.slopes != nullptr)
      sum -= static_cast<double>(bias.distance.slopes[h]) * distance(bias.distance, i, j);
    for_both_axes(bias.decomposed, i, j, [&](const float* table, bool, int64_t entry) {
      for (int64_t c = 0; c < s.head_dim; ++c)
        sum += q[((b * s.heads + h) * s.queries + i) * s.head_dim + c] *
               static_cast<double>(table[entry * s.head_dim + c]);
    });
    const TokenGroups& groups = bias.groups;
    if (groups.query_groups != nullptr && groups.query_groups[b % groups.periods * s.queries + i] !=
                                              groups.key_groups[b % groups.periods * s.keys + j])
      sum += static_cast<double>(groups.penalty);
    in.bias.push_back(sum);
  });
  return in;
}

TermGradients spread_backward(const AttentionArgs& args, const std::vector<double>& d_o) {
  const AttentionShape& s = args.shape;
  const AttentionBias& bias = args.bias;
  const auto dim = static_cast<size_t>(s.head_dim), heads = static_cast<size_t>(s.heads);
  AttentionGradients g = attention_backward(spread(args), d_o);
  TermGradients out{.table = std::vector<double>(bias.table.entries * s.heads),
                    .slopes = std::vector<double>(heads)};
  if (bias.decomposed.rows != nullptr) {
    out.rows.resize(bias.decomposed.row_entries() * s.head_dim);
    out.columns.resize((2 * bias.decomposed.width - 1) * s.head_dim);
  }
  const std::vector<double> q =
      operand(args, args.q, args.tokens.query_rows, s.queries, args.q_transform, false);
  for_each_score(s, [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    const int64_t row = (b * s.heads + h) * s.queries + i;
    const double ds = g.dbias[row * s.keys + j];
    if (bias.table.values != nullptr) {
      const int64_t entry = bias.table.entry(i, j, s.keys);
      if (entry >= 0) out.table[entry * s.heads + h] += ds;
    }
    if (bias.distance.slopes != nullptr) out.slopes[h] -= ds * distance(bias.distance, i, j);
    for_both_axes(bias.decomposed, i, j, [&](const float* table, bool column, int64_t entry) {
      for (int64_t c = 0; c < s.head_dim; ++c) {
        const int64_t at = entry * s.head_dim + c;
        (column ? out.columns : out.rows)[at] += ds * q[row * s.head_dim + c];
        g.dq[row * s.head_dim + c] += ds * static_cast<double>(table[at]);
      }
    });
  });
  const auto back = [&](const HeadView& view, const int32_t* rows, int64_t count,
                        const HeadTransform& transform, const std::vector<double>& dy) {
    TransformGradients sums{.weight = Row(dim), .bias = Row(dim), .gain = Row(heads)};
    sums.angles.resize(s.heads * (count - transform.rotary.prefix) * s.head_dim / 2);
    for (int64_t head = 0; head < s.batch * s.heads; ++head)
      for (int64_t n = 0; n < count; ++n) {
        const auto from = dy.begin() + (head * count + n) * s.head_dim;
        Row gradient(from, from + s.head_dim);
        transform_back(transform, head % s.heads, n,
                       read_token(args, view, rows, count, head / s.heads, head % s.heads, n),
                       gradient, sums);
        sums.x.insert(sums.x.end(), gradient.begin(), gradient.end());
      }
    return sums;
  };
  out.q = back(args.q, args.tokens.query_rows, s.queries, args.q_transform, g.dq);
  out.k = back(args.k, args.tokens.key_rows, s.keys, args.k_transform, g.dk);
  out.dv = std::move(g.dv);
  out.dense = std::move(g.dbias);
  return out;
}

}  // namespace vitrail::kernels::reference
