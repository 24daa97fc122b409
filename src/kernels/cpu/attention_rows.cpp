// Exact rows of attention for chosen queries, and their gradients.
#include <algorithm>

#include "kernels/attention.h"
#include "kernels/cpu/attention_int8.h"
#include "kernels/cpu/attention_mixing.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_rows.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/attention_exact-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// The sum over i of a[i] * b[i], both rounded to bf16 if asked for.
template <bool kRounds>
float Dot(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t count) {
  const FloatTag d;
  const auto operand = [d](const float* x, int64_t left) HWY_ATTR {
    const auto values = LoadPart(x, left);
    return kRounds ? hn::BitCast(d, RoundToBf16(values)) : values;
  };
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
  for (int64_t i = 0; i < count; i += 2 * kLanes) {
    sum0 = hn::MulAdd(operand(a + i, count - i), operand(b + i, count - i), sum0);
    const int64_t next = i + kLanes;
    if (next < count)
      sum1 = hn::MulAdd(operand(a + next, count - next), operand(b + next, count - next), sum1);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
}

// Rows are independent: one task takes a handful of rows of one head.
constexpr int64_t kRowsPerTask = 8;

template <typename Body>
void ForEachRow(Queue& queue, const AttentionShape& shape, const AttentionRows& rows, Body body) {
  const int64_t groups = (rows.count + kRowsPerTask - 1) / kRowsPerTask;
  queue.pool().parallel_for(shape.batch * shape.heads * groups, [&](int64_t i, int) {
    const int64_t head = i / groups, first = i % groups * kRowsPerTask;
    for (int64_t r = first; r < std::min(rows.count, first + kRowsPerTask); ++r)
      body(head / shape.heads, head % shape.heads, rows.queries[r],
           rows.rows + (head * rows.count + r) * shape.keys);
  });
}

// A few rows of heads that lie in memory as they are multiplied: a dot product for each key, with
// no packing.
template <bool kRounds>
void FewRows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  const AttentionShape& shape = args.shape;
  const BiasTerms bias(queue, args, false);
  ForEachRow(queue, shape, rows, [&](int64_t b, int64_t h, int64_t query, float* row) {
    const float* q = Head(args.q, b, h) + query * args.q.stride[2];
    const float* k = Head(args.k, b, h);
    for (int64_t j = 0; j < shape.keys; ++j)
      row[j] = Dot<kRounds>(q, k + j * args.k.stride[2], shape.head_dim);
    if (!args.bias.adds())
      return FinishExactRow(args, rows, b, h, query, 0, shape.keys, nullptr, row);
    HWY_ALIGN float tile[kKeyBlock * kQueryPanel];
    for (int64_t key = 0; key < shape.keys; key += kKeyBlock) {
      const int64_t keys = std::min(kKeyBlock, shape.keys - key);
      const float* added =
          bias.of_lanes(b, h, {.first = query, .count = 1}, key, keys, nullptr, tile);
      FinishExactRow(args, rows, b, h, query, key, keys, added, row + key);
    }
  });
}

// Many rows: the tiles of the forward pass, on packed keys.
void ManyRows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  const AttentionShape& shape = args.shape;
  const Arithmetic arithmetic = ArithmeticOf(args.precision);
  const int64_t dim = shape.head_dim, heads = shape.batch * shape.heads;
  const int64_t row_units = arithmetic.row_units(dim), units = arithmetic.units(dim);
  const BiasTerms bias(queue, args, false);
  const Tensor packed = Tensor::empty({heads, shape.keys, row_units});
  const int64_t fetched_floats = std::max(kQueryPanel * dim, FetchedFloats(args));
  const Tensor fetched = Tensor::empty({queue.pool().num_threads(), fetched_floats});
  queue.pool().parallel_for(heads, [&](int64_t i, int worker) {
    PackRows(
        arithmetic,
        FetchKeys(args, i / shape.heads, i % shape.heads, fetched.f32() + worker * fetched_floats),
        packed.f32() + i * shape.keys * row_units);
  });
  // Scores and their bias; then the chosen queries, packed and packed again as columns.
  const int64_t scratch_rows = 2 * kKeyBlock + row_units + units;
  const int64_t decomposed_floats =
      args.bias.decomposed.rows == nullptr
          ? 0
          : dim * kQueryPanel + DecomposedTermFloats(args) + DecomposedProductFloats(args);
  const int64_t scratch_floats = scratch_rows * kQueryPanel + decomposed_floats;
  const Tensor memory = Tensor::empty({queue.pool().num_threads(), scratch_floats});
  const int64_t panels = (rows.count + kQueryPanel - 1) / kQueryPanel;
  queue.pool().parallel_for(heads * panels, [&](int64_t i, int worker) {
    const int64_t head = i / panels, b = head / shape.heads, h = head % shape.heads;
    const int64_t first = i % panels * kQueryPanel;
    const int64_t count = std::min(kQueryPanel, rows.count - first);
    float* scores = memory.f32() + worker * scratch_floats;
    float* tile = scores + kKeyBlock * kQueryPanel;
    float* scratch = tile + kKeyBlock * kQueryPanel;
    float* columns = scratch + row_units * kQueryPanel;
    float* decomposed = columns + units * kQueryPanel;
    const Lanes lanes{.count = count, .chosen = rows.queries + first};
    const RowView queries =
        FetchQueries(args, b, h, lanes, fetched.f32() + worker * fetched_floats);
    PackColumns(arithmetic, queries, scratch, columns);
    if (decomposed_floats > 0) {
      float* q_columns = decomposed + DecomposedTermFloats(args);
      PackColumns({}, queries, scratch, q_columns);
      bias.decomposed_terms(q_columns, lanes, q_columns + dim * kQueryPanel, decomposed);
    }
    for (int64_t key = 0; key < shape.keys; key += kKeyBlock) {
      const int64_t keys = std::min(kKeyBlock, shape.keys - key);
      Multiply(arithmetic, keys, count,
               {.depth = units,
                .a = packed.f32() + (head * shape.keys + key) * row_units,
                .a_row = row_units,
                .a_step = 1,
                .b = columns,
                .b_row = kQueryPanel,
                .c = scores,
                .c_row = kQueryPanel});
      float* row = rows.rows + (head * rows.count + first) * shape.keys + key;
      transpose(scores, kQueryPanel, keys, count, row, shape.keys);
      const float* added = bias.of_lanes(b, h, lanes, key, keys, decomposed, tile);
      for (int64_t r = 0; r < count; ++r, row += shape.keys)
        FinishExactRow(args, rows, b, h, rows.queries[first + r], key, keys,
                       added == nullptr ? nullptr : added + r, row);
    }
  });
}

// Whether q and k are multiplied as bf16, as the pass that ran did.
bool RoundsOperands(const AttentionArgs& args) {
  return ArithmeticOf(args.precision).packing == Packing::pairs;
}

void ExactRows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  if (rows.count >= kAttentionRows || !ReadsInPlace(args) || args.bias.decomposed.rows != nullptr)
    return ManyRows(queue, args, rows);
  RoundsOperands(args) ? FewRows<true>(queue, args, rows) : FewRows<false>(queue, args, rows);
}

// One operand as it is multiplied, [B, H, N, d].
void MultipliedRows(Queue& queue, const AttentionArgs& args, bool keys, float* out) {
  const AttentionShape& shape = args.shape;
  const int64_t dim = shape.head_dim, count = keys ? shape.keys : shape.queries;
  const bool rounds = RoundsOperands(args);
  queue.pool().parallel_for(shape.batch * shape.heads, [&](int64_t i, int) {
    const int64_t b = i / shape.heads, h = i % shape.heads;
    float* to = out + i * count * dim;
    const HeadRows rows = keys ? KeyRows(args, args.k, b, h) : QueryRows(args, args.q, b, h);
    const HeadTransform& transform = keys ? args.k_transform : args.q_transform;
    const RowView view = FetchRows(rows, transform, h, {.count = count}, dim, to);
    for (int64_t n = 0; n < count; ++n)
      Transform(
          FloatTag(), to + n * dim, dim,
          [&](auto x) HWY_ATTR { return rounds ? hn::BitCast(FloatTag(), RoundToBf16(x)) : x; },
          view.data + n * view.stride);
  });
}

void RowGradients(Queue& queue, const AttentionArgs& args, const HeadView& d_o,
                  const AttentionRows& rows) {
  const AttentionShape& shape = args.shape;
  ForEachRow(queue, shape, rows, [&](int64_t b, int64_t h, int64_t query, float* row) {
    // A token without a row has no output, and values of its own or none.
    const float* gradient = QueryRows(args, d_o, b, h).row(query);
    const HeadRows values = KeyRows(args, args.v, b, h);
    for (int64_t j = 0; j < shape.keys; ++j) {
      const float* v = values.row(j);
      if (v == nullptr) v = values.padding();
      row[j] =
          gradient == nullptr || v == nullptr ? 0.0f : Dot<false>(gradient, v, shape.value_dim());
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(ExactRows);
HWY_EXPORT(MultipliedRows);
HWY_EXPORT(RowGradients);

void attention_rows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  if (args.mixing.present()) return mixed_attention_rows(queue, args, rows);
  if (attends_in_int8(args)) return attention_rows_int8(queue, args, rows);
  VITRAIL_DISPATCH(ExactRows)(queue, args, rows);
}

void attention_queries(Queue& queue, const AttentionArgs& args, float* out) {
  VITRAIL_DISPATCH(MultipliedRows)(queue, args, false, out);
}

void attention_keys(Queue& queue, const AttentionArgs& args, float* out) {
  VITRAIL_DISPATCH(MultipliedRows)(queue, args, true, out);
}

void attention_row_gradients(Queue& queue, const AttentionArgs& args, const HeadView& d_o,
                             const AttentionRows& rows) {
  VITRAIL_DISPATCH(RowGradients)(queue, args, d_o, rows);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
