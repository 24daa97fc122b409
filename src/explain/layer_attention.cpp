#include "explain/layer_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>

#include "core/error.h"

namespace vitrail {
namespace {

using kernels::AttentionArgs;

Tensor floats(const float* values, const Shape& shape) {
  return Tensor::from({values, static_cast<size_t>(shape.numel())}, shape);
}
Tensor integers(const int32_t* values, const Shape& shape) {
  Tensor out = Tensor::empty(shape, DType::i32);
  std::copy_n(values, shape.numel(), out.data<int32_t>());
  return out;
}

// A token's place in memory, by window and number in it: -1 is padding.
class TokenPlaces {
 public:
  TokenPlaces(const int32_t* rows, int64_t windows, int64_t length)
      : rows_(rows), windows_(windows), length_(length) {}

  int64_t tokens() const {
    if (rows_ == nullptr) return length_;
    int64_t count = 0;
    for (int64_t at = 0; at < windows_ * length_; ++at) count += rows_[at] >= 0;
    return count;
  }
  bool has_padding() const { return tokens() < windows_ * length_; }
  // One sequence, in the order of memory.
  bool in_order() const {
    bool same = windows_ == 1;
    for_each([&](int64_t token, int64_t, int64_t i) { same = same && token == i; });
    return same && !has_padding();
  }
  // visit(token, window, number within it)
  template <typename Visit>
  void for_each(Visit visit) const {
    for (int64_t window = 0; window < windows_; ++window)
      for (int64_t i = 0; i < length_; ++i) {
        const int64_t token = rows_ == nullptr ? i : rows_[window * length_ + i];
        if (token >= 0) visit(token, window, i);
      }
  }

 private:
  const int32_t* rows_;
  int64_t windows_, length_;
};

// values [windows, H, n, width] as they ran to [H, N, width] by token.
Tensor by_token(const float* values, const TokenPlaces& places, int64_t heads, int64_t length,
                int64_t width) {
  const int64_t tokens = places.tokens();
  Tensor out = Tensor::zeros({heads, tokens, width});
  places.for_each([&](int64_t token, int64_t window, int64_t i) {
    for (int64_t h = 0; h < heads; ++h)
      std::copy_n(values + ((window * heads + h) * length + i) * width, width,
                  out.f32() + (h * tokens + token) * width);
  });
  return out;
}

// groups: i32 [periods, length]; null: none.
TokenPlacement placement(const TokenPlaces& places, const int32_t* groups, int64_t periods,
                         int64_t length) {
  const auto of_tokens = [&](const auto& value) {
    Tensor out = Tensor::empty({places.tokens()}, DType::i32);
    places.for_each([&](int64_t token, int64_t window, int64_t i) {
      out.data<int32_t>()[token] = static_cast<int32_t>(value(window, i));
    });
    return out;
  };
  TokenPlacement out;
  if (!places.in_order()) {
    out.window = of_tokens([](int64_t window, int64_t) { return window; });
    out.place = of_tokens([](int64_t, int64_t i) { return i; });
  }
  if (groups != nullptr)
    out.group =
        of_tokens([&](int64_t window, int64_t i) { return groups[window % periods * length + i]; });
  return out;
}

void copy_table(const AttentionArgs& args, ScoreTerms* terms) {
  const kernels::RelativeTable& table = args.bias.table;
  if (table.values == nullptr) return;
  const kernels::AttentionShape& s = args.shape;
  terms->table = floats(table.values, {table.entries, s.heads});
  terms->prefix = table.prefix;
  terms->prefix_to_token = table.prefix_to_token;
  terms->token_to_prefix = table.token_to_prefix;
  terms->prefix_to_prefix = table.prefix_to_prefix;
  if (table.index != nullptr) {
    terms->index = integers(table.index, {s.queries, s.keys});
  } else {
    terms->query_entry = integers(table.query_entry, {s.queries});
    terms->key_entry = integers(table.key_entry, {s.keys});
  }
}

// Elements at strides, which are 0 where one is meant for all heads.
Tensor strided(const float* values, int64_t heads, std::span<const int64_t> sizes,
               std::span<const int64_t> strides) {
  const int64_t kept = strides[0] == 0 ? 1 : heads;
  const int64_t rows = sizes.size() == 2 ? sizes[0] : 1, columns = sizes.back();
  Tensor out = Tensor::empty(sizes.size() == 2 ? Shape{kept, rows, columns} : Shape{kept, columns});
  for (int64_t h = 0; h < kept; ++h)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        out.f32()[(h * rows + i) * columns + j] =
            values[h * strides[0] + (sizes.size() == 2 ? i * strides[1] : 0) + j * strides.back()];
  return out;
}

void copy_bias(const AttentionArgs& args, ScoreTerms* terms) {
  const kernels::AttentionShape& s = args.shape;
  const kernels::AttentionBias& bias = args.bias;
  copy_table(args, terms);
  if (bias.decomposed.rows != nullptr) {
    terms->height = bias.decomposed.height;
    terms->width = bias.decomposed.width;
    terms->rows = floats(bias.decomposed.rows, {2 * terms->height - 1, s.head_dim});
    terms->columns = floats(bias.decomposed.columns, {2 * terms->width - 1, s.head_dim});
  }
  if (bias.distance.slopes != nullptr) {
    terms->slopes = floats(bias.distance.slopes, {s.heads});
    terms->query_places = floats(bias.distance.query_places, {s.queries, 2});
    terms->key_places = floats(bias.distance.key_places, {s.keys, 2});
    terms->distance_prefix = bias.distance.prefix;
  }
  if (bias.dense != nullptr)
    terms->dense = strided(bias.dense, s.heads, std::array{s.queries, s.keys},
                           std::span(bias.stride).subspan(1));
  if (bias.by_key != nullptr)
    terms->by_key =
        strided(bias.by_key, s.heads, std::array{s.keys}, std::span(bias.key_stride).subspan(1));
}

// Row i of one head, term by term.
class ScoreRow {
 public:
  ScoreRow(const LayerAttention& layer, int64_t head, int64_t token)
      : layer_(layer),
        terms_(layer.terms),
        head_(head),
        token_(token),
        place_(number(terms_.query.place, token)) {
    const int64_t d = layer.head_dim;
    q_ = layer.q.f32() + (head * layer.q.size(1) + token) * d;
  }

  bool sees(int64_t key) const {
    return !terms_.query.window.defined() ||
           number(terms_.query.window, token_) == number(terms_.key.window, key);
  }
  double score(int64_t key) const {
    const int64_t d = layer_.head_dim;
    const float* k = layer_.k.f32() + (head_ * layer_.k.size(1) + key) * d;
    return layer_.scale * std::inner_product(q_, q_ + d, k, 0.0) + added(key);
  }

 private:
  static int64_t number(const Tensor& of, int64_t token) {
    return of.defined() ? of.data<int32_t>()[token] : token;
  }
  double added(int64_t key) const {
    const int64_t place = number(terms_.key.place, key);
    double sum = relative(place) + decomposed(place) + distance(place);
    if (terms_.dense.defined())
      sum += terms_.dense
                 .f32()[(first(terms_.dense) * layer_.q.size(1) + token_) * layer_.k.size(1) + key];
    if (terms_.by_key.defined())
      sum += terms_.by_key.f32()[first(terms_.by_key) * layer_.k.size(1) + key];
    if (terms_.query.group.defined() &&
        number(terms_.query.group, token_) != number(terms_.key.group, key))
      sum += terms_.penalty;
    return sum;
  }
  int64_t first(const Tensor& by_head) const { return by_head.size(0) == 1 ? 0 : head_; }
  double relative(int64_t place) const {
    if (!terms_.table.defined()) return 0;
    int64_t entry = 0;
    const int64_t prefix = terms_.prefix;
    if (terms_.index.defined())
      entry = terms_.index.data<int32_t>()[place_ * terms_.index.size(1) + place];
    else if (place_ < prefix)
      entry = place < prefix ? terms_.prefix_to_prefix : terms_.prefix_to_token;
    else if (place < prefix)
      entry = terms_.token_to_prefix;
    else
      entry = terms_.query_entry.data<int32_t>()[place_] - terms_.key_entry.data<int32_t>()[place];
    return entry < 0 ? 0 : terms_.table.f32()[entry * layer_.heads + head_];
  }
  double decomposed(int64_t place) const {
    if (!terms_.rows.defined()) return 0;
    const int64_t w = terms_.width, d = layer_.head_dim;
    const float* row = terms_.rows.f32() + (place_ / w - place / w + terms_.height - 1) * d;
    const float* column = terms_.columns.f32() + (place_ % w - place % w + w - 1) * d;
    return std::inner_product(q_, q_ + d, row, 0.0) + std::inner_product(q_, q_ + d, column, 0.0);
  }
  double distance(int64_t place) const {
    if (!terms_.slopes.defined() || place_ < terms_.distance_prefix ||
        place < terms_.distance_prefix)
      return 0;
    const float* a = terms_.query_places.f32() + 2 * place_;
    const float* b = terms_.key_places.f32() + 2 * place;
    return -terms_.slopes.f32()[head_] *
           std::hypot(static_cast<double>(a[0]) - b[0], static_cast<double>(a[1]) - b[1]);
  }

  const LayerAttention& layer_;
  const ScoreTerms& terms_;
  int64_t head_, token_, place_;
  const float* q_;
};

// Without terms the kernel computes it.
std::vector<float> plain_row(Queue& queue, const LayerAttention& layer, int64_t head,
                             int64_t token) {
  const int64_t queries = layer.q.size(1), keys = layer.k.size(1), dim = layer.head_dim;
  AttentionArgs args;
  args.shape = {.batch = 1, .heads = 1, .queries = queries, .keys = keys, .head_dim = dim};
  args.scale = layer.scale;
  args.q = {.data = layer.q.f32() + head * queries * dim, .stride = {0, 0, dim}};
  args.k = {.data = layer.k.f32() + head * keys * dim, .stride = {0, 0, dim}};
  std::vector<float> row(static_cast<size_t>(keys));
  kernels::attention_rows(
      queue, args,
      {.queries = &token, .count = 1, .lse = layer.lse.f32() + head * queries, .rows = row.data()});
  return row;
}

MixedHeads copy_mixing(const AttentionArgs& args) {
  const kernels::HeadMixing& mixing = args.mixing;
  const int64_t heads = args.shape.heads;
  const auto copy = [](const float* values, const Shape& shape) {
    return values == nullptr ? Tensor() : floats(values, shape);
  };
  return {.before = copy(mixing.before, {heads, heads}),
          .before_bias = copy(mixing.before_bias, {heads}),
          .after = copy(mixing.after, {heads, heads}),
          .after_bias = copy(mixing.after_bias, {heads}),
          .norm_weight = copy(mixing.norm_weight, {heads}),
          .norm_bias = copy(mixing.norm_bias, {heads}),
          .norm_epsilon = mixing.norm_epsilon};
}

// Rows of all heads for these queries, [H, count, Nk], where heads are mixed.
Tensor mixed_rows(Queue& queue, const LayerAttention& layer, const std::vector<int64_t>& tokens) {
  const int64_t queries = layer.q.size(1), keys = layer.k.size(1), dim = layer.head_dim;
  const MixedHeads& mixing = layer.mixing;
  AttentionArgs args;
  args.shape = {
      .batch = 1, .heads = layer.heads, .queries = queries, .keys = keys, .head_dim = dim};
  args.scale = layer.scale;
  args.q = {.data = layer.q.f32(), .stride = {0, queries * dim, dim}};
  args.k = args.v = {.data = layer.k.f32(), .stride = {0, keys * dim, dim}};
  args.mixing = {.before = mixing.before.f32(),
                 .before_bias = mixing.before_bias.f32(),
                 .after = mixing.after.f32(),
                 .after_bias = mixing.after_bias.f32(),
                 .norm_weight = mixing.norm_weight.f32(),
                 .norm_bias = mixing.norm_bias.f32(),
                 .norm_epsilon = mixing.norm_epsilon};
  const auto count = static_cast<int64_t>(tokens.size());
  Tensor rows = Tensor::empty({layer.heads, count, keys});
  kernels::attention_rows(queue, args,
                          {.queries = tokens.data(), .count = count, .rows = rows.f32()});
  return rows;
}

}  // namespace

LayerAttention layer_attention(Queue& queue, const AttentionRecord& record, int64_t stage,
                               const TokenLayout& queries, const TokenLayout& keys) {
  const AttentionArgs args = kernels::attention_of_sample(record.args, 0);
  const kernels::AttentionShape& s = args.shape;
  check(!args.bias.causal && args.bias.key_lengths == nullptr, ErrorCode::unsupported, "explain",
        "{} hides keys from its queries, which no map of a picture shows", record.path);
  const int64_t windows = args.tokens.windows;
  check(windows == 1 || (args.bias.dense == nullptr && args.bias.by_key == nullptr),
        ErrorCode::unsupported, "explain",
        "{} adds a bias of its own to each window, which maps do not carry", record.path);
  const TokenPlaces query_places(args.tokens.query_rows, windows, s.queries);
  const TokenPlaces key_places(args.tokens.key_rows, windows, s.keys);
  check(query_places.tokens() == queries.tokens() && key_places.tokens() == keys.tokens(),
        ErrorCode::unsupported, "explain",
        "{} has {} queries and {} keys, and the tokens of its stage are {} and {}", record.path,
        query_places.tokens(), key_places.tokens(), queries.tokens(), keys.tokens());

  LayerAttention layer{.path = record.path,
                       .heads = s.heads,
                       .head_dim = s.head_dim,
                       .scale = args.scale,
                       .stage = stage,
                       .queries = queries,
                       .keys = keys,
                       .mixing = copy_mixing(args),
                       .padded = key_places.has_padding()};
  const Tensor q = Tensor::empty({windows, s.heads, s.queries, s.head_dim});
  const Tensor k = Tensor::empty({windows, s.heads, s.keys, s.head_dim});
  kernels::attention_queries(queue, args, q.f32());
  kernels::attention_keys(queue, args, k.f32());
  layer.q = by_token(q.f32(), query_places, s.heads, s.queries, s.head_dim);
  layer.k = by_token(k.f32(), key_places, s.heads, s.keys, s.head_dim);
  if (record.lse.defined())
    layer.lse = by_token(record.lse.f32(), query_places, s.heads, s.queries, 1)
                    .reshape({s.heads, queries.tokens()});
  const kernels::TokenGroups& groups = args.bias.groups;
  layer.terms.query = placement(query_places, groups.query_groups, groups.periods, s.queries);
  layer.terms.key = placement(key_places, groups.key_groups, groups.periods, s.keys);
  layer.terms.penalty = groups.penalty;
  copy_bias(args, &layer.terms);
  return layer;
}

std::vector<float> attention_row(Queue& queue, const LayerAttention& layer, int64_t head,
                                 int64_t token) {
  const int64_t queries = layer.q.size(1), keys = layer.k.size(1);
  check(head >= 0 && head < layer.heads, "explain", "{} has heads 0 to {}, not {}", layer.path,
        layer.heads - 1, head);
  check(token >= 0 && token < queries, "explain", "there are tokens 0 to {}, not {}", queries - 1,
        token);
  if (layer.mixing.present()) {
    const Tensor rows = mixed_rows(queue, layer, {token});
    const auto own =
        rows.values().subspan(static_cast<size_t>(head * keys), static_cast<size_t>(keys));
    return {own.begin(), own.end()};
  }
  if (!layer.terms.present()) return plain_row(queue, layer, head, token);
  const ScoreRow score(layer, head, token);
  const double lse = layer.lse.f32()[head * queries + token];
  std::vector<float> row(static_cast<size_t>(keys));
  for (int64_t key = 0; key < keys; ++key)
    if (score.sees(key))
      row[static_cast<size_t>(key)] = static_cast<float>(std::exp(score.score(key) - lse));
  return row;
}

std::vector<float> mean_row(Queue& queue, const LayerAttention& layer) {
  const int64_t queries = layer.q.size(1);
  std::vector<double> sum(static_cast<size_t>(layer.k.size(1)));
  const auto add = [&](std::span<const float> row) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += row[i];
  };
  if (layer.mixing.present()) {
    for (int64_t token = 0; token < queries; ++token) {
      const Tensor rows = mixed_rows(queue, layer, {token});
      for (int64_t head = 0; head < layer.heads; ++head)
        add(rows.values().subspan(static_cast<size_t>(head) * sum.size(), sum.size()));
    }
  }
  for (int64_t head = 0; head < layer.heads && !layer.mixing.present(); ++head)
    for (int64_t token = 0; token < queries; ++token) add(attention_row(queue, layer, head, token));
  std::vector<float> mean;
  for (const double value : sum)
    mean.push_back(static_cast<float>(value / static_cast<double>(layer.heads * queries)));
  return mean;
}

}  // namespace vitrail
