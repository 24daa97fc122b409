// One head of the backward pass: its memory, and the step from S and dP to P and dS.
//
// Per-target code: included once for each instruction set.
#include "hwy/highway.h"

#if defined(VITRAIL_ATTENTION_SOFTMAX_BACKWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_ATTENTION_SOFTMAX_BACKWARD_INL_H_
#undef VITRAIL_ATTENTION_SOFTMAX_BACKWARD_INL_H_
#else
#define VITRAIL_ATTENTION_SOFTMAX_BACKWARD_INL_H_
#endif

#include "kernels/cpu/attention_scores-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// What one thread needs for one head, carved from the workspace in this order. "Rows" have units
// along a row, "pairs" along a column (attention_block-inl.h); in float arithmetic they are equal,
// and the second is the first.
struct HeadScratch {
  float *k_rows, *k_pairs, *v_rows;
  float *dk, *dv;  // [keys, width] and [keys, value_width]: sums, before the scale
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
  int64_t width, value_width;  // of rows of q and k, and of v, in whole vectors

  // Returns the floats used; base may be null to measure.
  int64_t carve(const AttentionShape& s, const Arithmetic& arithmetic, float* base) {
    const bool pairs = arithmetic.packing == Packing::pairs;
    width = RoundUp(s.head_dim, kLanes);
    value_width = RoundUp(s.value_dim(), kLanes);
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
    take(k_rows, s.keys * arithmetic.row_units(s.head_dim));
    take_or(k_pairs, k_rows, arithmetic.units(s.keys) * width);
    take(v_rows, s.keys * arithmetic.row_units(s.value_dim()));
    take(dk, s.keys * width);
    take(dv, s.keys * value_width);
    take(q_columns, arithmetic.units(s.head_dim) * kQueryPanel);
    take(d_o_columns, arithmetic.units(s.value_dim()) * kQueryPanel);
    for (float** rows : {&q_pairs, &dq}) take(*rows, kQueryPanel * width);
    take(d_o_pairs, kQueryPanel * value_width);
    for (float** one : {&shift, &delta}) take(*one, kQueryPanel);
    take(scores, kQueryPanel * std::max({kKeyBlock, width, value_width}));  // packing passes it
    for (float** block : {&gradient, &tile, &dropout}) take(*block, kQueryPanel * kKeyBlock);
    take_or(weights, scores, kQueryPanel * kKeyBlock);
    take_or(ds_rows, gradient, kQueryPanel * kKeyBlock);
    return used;
  }
};

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

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
