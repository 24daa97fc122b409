// Backward attention: P is recomputed from q, k and the saved log-sum-exp, block by block.
//
// With D_i = sum(dO_i * O_i):  dV = P^T dO,  dP = dO V^T,  dS = P * (dP - D),
// dQ = scale * dS K,  dK = scale * dS^T Q,  dbias = dS                      (Dao et al. 2022, B.4)
#include <algorithm>

#include "kernels/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_backward.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/attention_scores-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// What one thread needs for one head, carved from the workspace in this order. "Rows" have units
// along a row, "pairs" along a column (attention_block-inl.h); in float arithmetic they are equal,
// and the second is the first.
struct HeadScratch {
  float *k_rows, *k_pairs, *v_rows;
  float *dk, *dv;  // [keys, width] sums, before the scale
  // Of one panel of queries.
  float *q_columns, *q_pairs, *d_o_columns, *d_o_pairs;
  float* dq;     // [kQueryPanel, width]
  float* shift;  // lse, as a power of two
  float* delta;  // D
  // Of one block, [kKeyBlock, kQueryPanel].
  float* scores;    // S, then P
  float* gradient;  // dP, then dS in pairs
  float* weights;   // dropped P in rows
  float* ds_rows;   // dS in rows
  float* tile;      // bias, then dS for its gradient
  float* dropout;
  int64_t width;

  // Returns the floats used; base may be null to measure.
  int64_t carve(const AttentionShape& s, const Arithmetic& arithmetic, float* base) {
    const bool pairs = arithmetic.packing == Packing::pairs;
    width = RoundUp(s.head_dim, kLanes);
    int64_t used = 0;
    const auto take = [&](float*& field, int64_t count) {
      field = base == nullptr ? nullptr : base + used;
      used += RoundUp(count, 16);
    };
    const auto take_or = [&](float*& field, float* same, int64_t count) {
      if (pairs)
        take(field, count);
      else
        field = same;
    };
    const int64_t key_rows = s.keys * arithmetic.row_units(s.head_dim);
    take(k_rows, key_rows);
    take_or(k_pairs, k_rows, arithmetic.units(s.keys) * width);
    take(v_rows, key_rows);
    take(dk, s.keys * width);
    take(dv, s.keys * width);
    for (float** columns : {&q_columns, &d_o_columns})
      take(*columns, arithmetic.units(s.head_dim) * kQueryPanel);
    for (float** rows : {&q_pairs, &d_o_pairs, &dq}) take(*rows, kQueryPanel * width);
    for (float** one : {&shift, &delta}) take(*one, kQueryPanel);
    take(scores, kQueryPanel * std::max(kKeyBlock, width));  // packing passes through it
    for (float** block : {&gradient, &tile, &dropout}) take(*block, kQueryPanel * kKeyBlock);
    take_or(weights, scores, kQueryPanel * kKeyBlock);
    take_or(ds_rows, gradient, kQueryPanel * kKeyBlock);
    return used;
  }
};

int64_t BackwardFloats(const AttentionShape& shape) {
  HeadScratch scratch;
  int64_t floats = 0;
  for (const Precision precision : {Precision::f32, Precision::bf16})
    floats = std::max(floats, scratch.carve(shape, ArithmeticOf(precision), nullptr));
  return floats;
}

// Two rows of dS and of dropped P, as the next products read them; `second` is beyond the block
// where keys are odd.
template <Packing kPacking, class D, class V = hn::Vec<D>>
HWY_INLINE void StoreRows(D d, const HeadScratch& s, int64_t j, int64_t column, bool has_second,
                          V first_weight, V second_weight, V first, V second) {
  const int64_t at = j * kQueryPanel + column, next = at + kQueryPanel;
  if constexpr (kPacking == Packing::pairs) {
    constexpr int64_t kRow = kQueryPanel / 2;
    const int64_t row = j * kRow + column / 2;
    const auto low = RoundToBf16(d, first), high = RoundToBf16(d, second);
    StoreNeighbours(d, WeightBits(d, first_weight), s.weights + row);
    StoreNeighbours(d, low, s.ds_rows + row);
    if (has_second) {
      StoreNeighbours(d, WeightBits(d, second_weight), s.weights + row + kRow);
      StoreNeighbours(d, high, s.ds_rows + row + kRow);
    }
    hn::StoreU(Pair(d, low, high), d, s.gradient + j / 2 * kQueryPanel + column);
  } else {
    hn::StoreU(first_weight, d, s.weights + at);
    hn::StoreU(first, d, s.ds_rows + at);
    if (!has_second) return;
    hn::StoreU(second_weight, d, s.weights + next);
    hn::StoreU(second, d, s.ds_rows + next);
  }
}

// One column of vectors of a block: S and dP -> dropped P and dS. When this block holds all keys,
// D is taken as sum(P * dP) / sum(P) over the very P used here instead of sum(dO * O): then dS sums
// to zero whatever exp rounds, and the gradient of a key's bias, zero by symmetry, has a third of
// the noise (measured on the tiny golden models).
template <Packing kPacking, class D>
HWY_INLINE void SoftmaxBackward(D d, const AttentionArgs& args, const Block& block, int64_t column,
                                bool wants_bias, const HeadScratch& s) {
  using V = hn::Vec<D>;
  const V factor = hn::Set(d, ExponentFactor(args));
  const V shift = hn::LoadU(d, s.shift + column);
  const bool drops = args.dropout.probability > 0;
  V weighted = hn::Zero(d), total = hn::Zero(d);
  for (int64_t j = 0; j < block.keys; ++j) {
    const int64_t at = j * kQueryPanel + column;
    const V p = Exp2(d, hn::MulSub(hn::LoadU(d, s.scores + at), factor, shift));
    V dp = hn::LoadU(d, s.gradient + at);
    if (drops) {
      dp = hn::Mul(dp, hn::LoadU(d, s.dropout + at));
      hn::StoreU(dp, d, s.gradient + at);
    }
    hn::StoreU(p, d, s.scores + at);
    weighted = hn::MulAdd(p, dp, weighted);
    total = hn::Add(total, p);
  }
  V centre = hn::LoadU(d, s.delta + column);
  if (block.keys == args.shape.keys)
    centre = hn::IfThenElse(hn::Gt(total, hn::Zero(d)), hn::Div(weighted, total), centre);
  const auto weight_of = [&](int64_t j) HWY_ATTR {
    const int64_t at = j * kQueryPanel + column;
    const V p = hn::LoadU(d, s.scores + at);
    return drops ? hn::Mul(p, hn::LoadU(d, s.dropout + at)) : p;
  };
  const auto ds_of = [&](int64_t j) HWY_ATTR {
    const int64_t at = j * kQueryPanel + column;
    const V ds =
        hn::Mul(hn::LoadU(d, s.scores + at), hn::Sub(hn::LoadU(d, s.gradient + at), centre));
    if (wants_bias) hn::StoreU(ds, d, s.tile + at);
    return ds;
  };
  for (int64_t j = 0; j < block.keys; j += 2) {
    const bool has_second = j + 1 < block.keys;
    const V none = hn::Zero(d);
    const V first = ds_of(j), second = has_second ? ds_of(j + 1) : none;
    const V first_weight = weight_of(j), second_weight = has_second ? weight_of(j + 1) : none;
    StoreRows<kPacking>(d, s, j, column, has_second, first_weight, second_weight, first, second);
  }
}

class HeadBackward {
 public:
  HeadBackward(const AttentionArgs& args, const AttentionBackward& grad,
               const Arithmetic& arithmetic, const HeadScratch& scratch)
      : args_(args), grad_(grad), arithmetic_(arithmetic), s_(scratch) {}

  void run(int64_t b, int64_t h, RowsAhead* ahead) const {
    const AttentionShape& shape = args_.shape;
    const RowView k{Head(args_.k, b, h), args_.k.stride[2], shape.keys, shape.head_dim};
    const RowView v{Head(args_.v, b, h), args_.v.stride[2], shape.keys, shape.head_dim};
    PackRows(arithmetic_, k, s_.k_rows);
    PackRows(arithmetic_, v, s_.v_rows);
    if (s_.k_pairs != s_.k_rows) PackRowPairs(arithmetic_, k, s_.k_pairs);
    std::fill_n(s_.dk, shape.keys * s_.width, 0.0f);
    std::fill_n(s_.dv, shape.keys * s_.width, 0.0f);
    Block block{.b = b, .h = h};
    for (; block.query < shape.queries; block.query += kQueryPanel) {
      block.queries = std::min(kQueryPanel, shape.queries - block.query);
      start_panel(block);
      const int64_t step = KeyBlock(shape.keys);
      for (block.key = 0; block.key < shape.keys; block.key += step) {
        block.keys = std::min(step, shape.keys - block.key);
        score(block, ahead);
        accumulate(block, ahead);
      }
      if (shape.keys == 0) std::fill_n(s_.dq, block.queries * s_.width, 0.0f);
      copy_scaled(s_.dq, args_.scale, grad_.dq, block, block.query, block.queries);
    }
    copy_scaled(s_.dk, args_.scale, grad_.dk, block, 0, shape.keys);
    copy_scaled(s_.dv, 1, grad_.dv, block, 0, shape.keys);
  }

 private:
  void copy_scaled(const float* sums, float factor, const HeadView& view, const Block& block,
                   int64_t first, int64_t count) const {
    float* out = Head(view, block.b, block.h) + first * view.stride[2];
    for (int64_t r = 0; r < count; ++r)
      CopyScaled(sums + r * s_.width, args_.shape.head_dim, factor, out + r * view.stride[2]);
  }

  void start_panel(const Block& block) const {
    const AttentionShape& shape = args_.shape;
    const auto rows = [&](const HeadView& view) {
      return RowView{Head(view, block.b, block.h) + block.query * view.stride[2], view.stride[2],
                     block.queries, shape.head_dim};
    };
    const RowView q = rows(args_.q), o = rows(grad_.o), d_o = rows(grad_.d_o);
    PackColumns(arithmetic_, q, s_.scores, s_.q_columns);
    PackColumns(arithmetic_, d_o, s_.scores, s_.d_o_columns);
    PackRowPairs(arithmetic_, q, s_.q_pairs);
    PackRowPairs(arithmetic_, d_o, s_.d_o_pairs);
    const float* lse = grad_.lse + (block.b * shape.heads + block.h) * shape.queries + block.query;
    for (int64_t r = 0; r < kQueryPanel; ++r) {
      const bool seen = r < block.queries && lse[r] != -std::numeric_limits<float>::infinity();
      s_.shift[r] = seen ? lse[r] * kLog2E : 0.0f;
      s_.delta[r] = 0;
      if (!seen) continue;
      const FloatTag d;
      auto sum = hn::Zero(d);
      for (int64_t i = 0; i < shape.head_dim; i += kLanes)
        sum = hn::MulAdd(LoadPart(o.data + r * o.stride + i, shape.head_dim - i),
                         LoadPart(d_o.data + r * d_o.stride + i, shape.head_dim - i), sum);
      s_.delta[r] = hn::GetLane(hn::SumOfLanes(d, sum));
    }
  }

  // S and dP of the block, then P and dS.
  void score(const Block& block, RowsAhead* ahead) const {
    const int64_t row_units = arithmetic_.row_units(args_.shape.head_dim);
    AttentionTileArgs tile{.depth = arithmetic_.units(args_.shape.head_dim),
                           .a = s_.k_rows + block.key * row_units,
                           .a_row = row_units,
                           .a_step = 1,
                           .b = s_.q_columns,
                           .b_row = kQueryPanel,
                           .c = s_.scores,
                           .c_row = kQueryPanel};
    Multiply(arithmetic_, block.keys, block.queries, tile, ahead);
    tile.a = s_.v_rows + block.key * row_units;
    tile.b = s_.d_o_columns;
    tile.c = s_.gradient;
    Multiply(arithmetic_, block.keys, block.queries, tile, ahead);
    if (!ScalesLate(args_)) FinishScores(args_, block, s_.scores, s_.tile, nullptr);
    if (args_.dropout.probability > 0) DropoutFactors(args_, block, s_.dropout);
    const bool wants_bias = grad_.dbias != nullptr;
    WithPacking(arithmetic_.packing, [&](auto packing) HWY_ATTR {
      ForEachVector(block.queries, [&](auto d, int64_t column) HWY_ATTR {
        SoftmaxBackward<packing()>(d, args_, block, column, wants_bias, s_);
      });
    });
    if (wants_bias) add_to_bias(block);
  }

  void add_to_bias(const Block& block) const {
    const auto& s = grad_.dbias_stride;
    float* target =
        grad_.dbias + block.b * s[0] + block.h * s[1] + block.query * s[2] + block.key * s[3];
    for (int64_t c = 0; c < block.queries; ++c)
      for (int64_t j = 0; j < block.keys; ++j)
        target[c * s[2] + j * s[3]] += s_.tile[j * kQueryPanel + c];
  }

  void accumulate(const Block& block, RowsAhead* ahead) const {
    const int64_t dim = args_.shape.head_dim, width = s_.width;
    Multiply(arithmetic_, block.queries, dim,
             {.depth = arithmetic_.units(block.keys),
              .a = s_.gradient,
              .a_row = 1,
              .a_step = kQueryPanel,
              .b = s_.k_pairs + arithmetic_.units(block.key) * width,
              .b_row = width,
              .c = s_.dq,
              .c_row = width,
              .accumulate = block.key > 0},
             ahead);
    AttentionTileArgs by_key{.depth = arithmetic_.units(block.queries),
                             .a = s_.weights,
                             .a_row = kQueryPanel / arithmetic_.group(),
                             .a_step = 1,
                             .b = s_.d_o_pairs,
                             .b_row = width,
                             .c = s_.dv + block.key * width,
                             .c_row = width,
                             .accumulate = true};
    Multiply(arithmetic_, block.keys, dim, by_key, ahead);
    by_key.a = s_.ds_rows;
    by_key.b = s_.q_pairs;
    by_key.c = s_.dk + block.key * width;
    Multiply(arithmetic_, block.keys, dim, by_key, ahead);
  }

  const AttentionArgs& args_;
  const AttentionBackward& grad_;
  const Arithmetic& arithmetic_;
  const HeadScratch& s_;
};

// What is ahead of (b, h): its operands, and the gradients that will be written.
RowsAhead AheadOf(const AttentionArgs& args, const AttentionBackward& grad, int64_t b, int64_t h) {
  const AttentionShape& s = args.shape;
  const int64_t dim = s.head_dim;
  return {.views = {RowsOf(args.q, b, h, s.queries, dim), RowsOf(args.k, b, h, s.keys, dim),
                    RowsOf(args.v, b, h, s.keys, dim), RowsOf(grad.o, b, h, s.queries, dim),
                    RowsOf(grad.d_o, b, h, s.queries, dim), RowsOf(grad.dq, b, h, s.queries, dim),
                    RowsOf(grad.dk, b, h, s.keys, dim), RowsOf(grad.dv, b, h, s.keys, dim)},
          .rows_per_tile = 1};
}

void Backward(Queue& queue, const AttentionArgs& args, const AttentionBackward& grad,
              float* workspace) {
  const AttentionShape& shape = args.shape;
  const Arithmetic arithmetic = ArithmeticOf(args.precision);
  const int64_t per_thread = BackwardFloats(shape);
  // Heads that add to the same bias gradient run one after the other, in a fixed order.
  const bool shares_batch = grad.dbias != nullptr && grad.dbias_stride[0] == 0;
  const bool shares_heads = grad.dbias != nullptr && grad.dbias_stride[1] == 0;
  const int64_t head_groups = shares_heads ? 1 : shape.heads;
  const int64_t groups = (shares_batch ? 1 : shape.batch) * head_groups;
  constexpr int64_t kTasksPerThread = 12;
  const int64_t step =
      std::max<int64_t>(1, groups / (kTasksPerThread * queue.pool().num_threads()));
  queue.pool().parallel_for((groups + step - 1) / step, [&](int64_t task, int worker) {
    HeadScratch scratch;
    scratch.carve(shape, arithmetic, workspace + worker * per_thread);
    const HeadBackward head(args, grad, arithmetic, scratch);
    const int64_t end = std::min(groups, (task + 1) * step);
    for (int64_t i = task * step; i < end; ++i) {
      const int64_t b0 = i / head_groups, h0 = i % head_groups;
      RowsAhead ahead;
      if (i + 1 < end) ahead = AheadOf(args, grad, (i + 1) / head_groups, (i + 1) % head_groups);
      for (int64_t b = b0; b < (shares_batch ? shape.batch : b0 + 1); ++b)
        for (int64_t h = h0; h < (shares_heads ? shape.heads : h0 + 1); ++h) head.run(b, h, &ahead);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(BackwardFloats);
HWY_EXPORT(Backward);

int64_t attention_backward_workspace(Queue& queue, const AttentionShape& shape) {
  return queue.pool().num_threads() * VITRAIL_DISPATCH(BackwardFloats)(shape) *
         static_cast<int64_t>(sizeof(float));
}

void attention_backward(Queue& queue, const AttentionArgs& args, const AttentionBackward& grad,
                        void* workspace) {
  VITRAIL_DISPATCH(Backward)(queue, args, grad, static_cast<float*>(workspace));
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
