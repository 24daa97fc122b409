#include "kernels/gemm_bf16.h"

#include <algorithm>
#include <cassert>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm_bf16.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/dot-inl.h"
#include "kernels/cpu/gemm_driver-inl.h"
#include "kernels/cpu/round_bf16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

int64_t Bf16PanelWidth() {
  return kPanelWidth;
}

template <bool kOdd>
HWY_INLINE hn::Vec<FloatTag> WidenPairs(const uint32_t* pairs) {
  const Bits pair = hn::Load(BitsTag(), pairs);
  return hn::BitCast(
      FloatTag(), kOdd ? hn::And(pair, hn::Set(BitsTag(), 0xffff0000u)) : hn::ShiftLeft<16>(pair));
}

// One step of k that leaves its row of the panel in `out`.
template <bool kOdd>
HWY_INLINE void WidenStep(const float* HWY_RESTRICT a, int64_t a_stride,
                          const uint32_t* HWY_RESTRICT pairs, float* HWY_RESTRICT out,
                          hn::Vec<FloatTag> (&sum)[kTileRows][kTileVectors]) {
  hn::Vec<FloatTag> b[kTileVectors];
  HWY_UNROLL(3)
  for (int v = 0; v < kTileVectors; ++v) {
    b[v] = WidenPairs<kOdd>(pairs + v * kLanes);
    hn::Store(b[v], FloatTag(), out + v * kLanes);
  }
  MultiplyStep<F32Step, kTileRows, kTileVectors>(a, a_stride, b, sum);
}

// Through the f32 tiles: a panel's block is widened once for all rows of A.
struct Bf16Widened : FloatSums {
  using Step = F32Step;
  static constexpr int64_t kDepth = kFloatDepth;
  static constexpr bool kCoarse = true;
  static constexpr int64_t kPanelBytes = kPanelWidth * int64_t{sizeof(uint16_t)};
  using Scratch = float[kDepth * kPanelWidth];

  static const float* unfold(const char* block, int64_t depth, Scratch& scratch) {
    const FloatTag d;
    const auto* pairs = reinterpret_cast<const uint32_t*>(block);
    float* out = scratch;
    for (int64_t k = 0; k < depth; k += 2, out += kPanelWidth)
      for (int v = 0; v < kTileVectors; ++v, pairs += kLanes, out += kLanes) {
        hn::Store(WidenPairs<false>(pairs), d, out);
        hn::Store(WidenPairs<true>(pairs), d, out + kPanelWidth);
      }
    return scratch;
  }

  // The first tile of the rows widens the block as it goes, under its own multiplications; its sums
  // go into work.sums.
  static HWY_NOINLINE const float* unfold_in_tile(const TileWork<Step>& work, const char* block,
                                                  Scratch& scratch) {
    hn::Vec<FloatTag> sum[kTileRows][kTileVectors];
    StartSums<Step, kTileRows, kTileVectors>(work, sum);
    const float* HWY_RESTRICT a = work.a;
    const auto* HWY_RESTRICT pairs = reinterpret_cast<const uint32_t*>(block);
    float* HWY_RESTRICT out = scratch;
    const char* ahead = work.ahead;
    for (int64_t k = 0; k < work.depth; k += 2) {
      if (k % 4 == 0) __builtin_prefetch(ahead + k / 4 * kLineBytes, 0, 2);
      WidenStep<false>(a + k, work.a_stride, pairs, out, sum);
      WidenStep<true>(a + k + 1, work.a_stride, pairs, out + kPanelWidth, sum);
      pairs += kPanelWidth;
      out += 2 * kPanelWidth;
    }
    HWY_UNROLL(8)
    for (int r = 0; r < kTileRows; ++r) HWY_UNROLL(3)
    for (int v = 0; v < kTileVectors; ++v)
      Step::Store(sum[r][v], work.sums + r * work.sums_stride + v * kLanes);
    return scratch;
  }
};

#if VITRAIL_HAS_BF16_DOT
// Two k at a time.
struct Bf16Step {
  using Left = uint16_t;
  using Right = uint16_t;
  using Sum = float;
  using Accumulator = hn::Vec<FloatTag>;
  using Operand = Bits;
  static constexpr int kGroup = 2;
  static HWY_INLINE Accumulator Zero() { return hn::Zero(FloatTag()); }
  static HWY_INLINE Accumulator Load(const float* p) { return hn::LoadU(FloatTag(), p); }
  static HWY_INLINE void Store(Accumulator x, float* p) { hn::StoreU(x, FloatTag(), p); }
  static HWY_INLINE Operand LoadPanel(const uint16_t* p) {
    return hn::Load(BitsTag(), reinterpret_cast<const uint32_t*>(p));
  }
  static HWY_INLINE Operand Spread(const uint16_t* p) {
    uint32_t pair;
    hwy::CopyBytes<sizeof(pair)>(p, &pair);
    return hn::Set(BitsTag(), pair);
  }
  static HWY_INLINE Accumulator Multiply(Accumulator sum, Operand left, Operand right) {
    return DotBf16(sum, left, right);
  }
};

struct Bf16Dot : FloatSums {
  using Step = Bf16Step;
  static constexpr int64_t kDepth = 384;
  static constexpr int64_t kPanelBytes = kPanelWidth * int64_t{sizeof(uint16_t)};
  static constexpr bool kCoarse = true;
  struct Scratch {};

  static const uint16_t* unfold(const char* block, int64_t, Scratch&) {
    return reinterpret_cast<const uint16_t*>(block);
  }
};
#endif

// [K / 2][kPanelWidth][2] of columns [first, first + columns) of B; zeros beyond. B's columns lie
// side by side, as those of a weight in the backward product.
void PackRowPairs(const Matrix& b, int64_t first, int64_t columns, uint16_t* panel) {
  const BitsTag du;
  auto* out = reinterpret_cast<uint32_t*>(panel);
  const auto load = [&](int64_t k, int64_t column) HWY_ATTR {
    const int64_t left = columns - column;
    if (k >= b.rows || left <= 0) return hn::Zero(du);
    const float* from = b.data + k * b.row_stride + first + column;
    if (left >= kLanes) return RoundToBf16(hn::LoadU(FloatTag(), from));
    HWY_ALIGN float tail[kLanes] = {};
    std::copy_n(from, left, tail);
    return RoundToBf16(hn::Load(FloatTag(), tail));
  };
  for (int64_t k = 0; k < b.rows; k += 2, out += kPanelWidth)
    for (int64_t column = 0; column < kPanelWidth; column += kLanes)
      hn::Store(PairOf(load(k, column), load(k + 1, column)), du, out + column);
}

// B's rows lie side by side, as those of a weight in the forward product: pairs are neighbours
// already, so rounded rows are transposed as 32-bit values.
void PackTransposedPairs(const Matrix& b, int64_t first, int64_t columns, float* pairs,
                         uint16_t* panel) {
  const int64_t steps = (b.rows + 1) / 2;
  const int64_t stride = (steps * 2 + kLanes - 1) / kLanes * kLanes / 2;
  for (int64_t c = 0; c < columns; ++c)
    RoundRow(b.data + (first + c) * b.column_stride, b.rows,
             reinterpret_cast<uint16_t*>(pairs + c * stride));
  auto* out = reinterpret_cast<float*>(panel);
  transpose(pairs, stride, columns, steps, out, kPanelWidth);
  for (int64_t k = 0; k < steps; ++k)
    std::fill(out + k * kPanelWidth + columns, out + (k + 1) * kPanelWidth, 0.0f);
}

void PackPanelBf16(const Matrix& b, int64_t first, int64_t columns, float* scratch,
                   uint16_t* panel) {
  if (b.column_stride == 1) return PackRowPairs(b, first, columns, panel);
  if (b.row_stride == 1) return PackTransposedPairs(b, first, columns, scratch, panel);
  const int64_t depth = (b.rows + 1) / 2 * 2;
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t c = 0; c < kPanelWidth; ++c) {
      const bool inside = c < columns && k < b.rows;
      panel[(k / 2 * kPanelWidth + c) * 2 + k % 2] =
          inside ? f32_to_bf16(b.data[k * b.row_stride + (first + c) * b.column_stride]) : 0;
    }
}

void PackPanelsBf16(Queue& queue, const Matrix& b, uint16_t* panels) {
  const int64_t count = (b.columns + kPanelWidth - 1) / kPanelWidth;
  const int64_t depth = (b.rows + 1) / 2 * 2;
  const int64_t scratch_floats = kPanelWidth * (depth + kLanes) / 2;
  const Tensor scratch = Tensor::empty({queue.pool().num_threads(), scratch_floats});
  queue.pool().parallel_for(count, [&](int64_t p, int worker) {
    PackPanelBf16(b, p * kPanelWidth, std::min<int64_t>(kPanelWidth, b.columns - p * kPanelWidth),
                  scratch.f32() + worker * scratch_floats, panels + p * kPanelWidth * depth);
  });
}

int64_t RoundedStride(int64_t columns) {
  return (columns + kLanes - 1) / kLanes * kLanes;
}

void RoundRows(Queue& queue, const Matrix& a, int64_t stride, uint16_t* out) {
  queue.pool().parallel_ranges(a.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      RoundRow(a.data + r * a.row_stride, a.columns, out + r * stride);
  });
}

// Rows [first, first + count) of a product.
LeftOperand RowsOf(LeftOperand left, int64_t first, int64_t count) {
  left.a.data += first * left.a.row_stride;
  left.a.rows = count;
  return left;
}
GemmOutput RowsOf(GemmOutput c, int64_t first) {
  c.data += first * c.row_stride;
  if (c.epilogue.residual != nullptr) c.epilogue.residual += first * c.epilogue.residual_stride;
  return c;
}

#if VITRAIL_HAS_BF16_DOT
void MultiplyRounded(Queue& queue, const LeftOperand& operand, const PackedBf16& b,
                     const GemmOutput& c, uint16_t* rounded) {
  const int64_t depth = (b.rows + 1) / 2 * 2;
  const int64_t stride = RoundedStride(depth);
  ForEachRow(queue, operand, [&](int64_t r, const float* values) {
    RoundRow(values, operand.a.columns, rounded + r * stride);
  });
  MultiplyPanels(queue, Bf16Dot{}, rounded, stride, operand.a.rows, depth, b.panels.raw(),
                 b.columns, c);
}
#endif

// A stays what it is. Rows that are normalised, or of odd length, are written anew, a block for
// each thread at a time, which stays in its L2: all of a long A would pass through L3 once more.
void MultiplyWidened(Queue& queue, const LeftOperand& operand, const PackedBf16& b,
                     const GemmOutput& c, float* rewritten) {
  const Matrix& a = operand.a;
  const int64_t depth = (b.rows + 1) / 2 * 2;
  if (operand.norm == nullptr && depth == a.columns)
    return MultiplyPanels(queue, Bf16Widened{}, a.data, a.row_stride, a.rows, depth, b.panels.raw(),
                          b.columns, c);
  const int64_t stride = RoundedStride(depth);
  const int64_t step = queue.pool().num_threads() * kMaxBlockRows;
  for (int64_t first = 0; first < a.rows; first += step) {
    const int64_t count = std::min(step, a.rows - first);
    ForEachRow(queue, RowsOf(operand, first, count), [&](int64_t r, const float* values) {
      std::copy_n(values, a.columns, rewritten + r * stride);
      std::fill(rewritten + r * stride + a.columns, rewritten + r * stride + depth, 0.0f);
    });
    MultiplyPanels(queue, Bf16Widened{}, rewritten, stride, count, depth, b.panels.raw(), b.columns,
                   RowsOf(c, first));
  }
}

void MultiplyBf16(Queue& queue, const LeftOperand& a, const PackedBf16& b, const GemmOutput& c,
                  void* workspace) {
#if VITRAIL_HAS_BF16_DOT
  if (dot_products().bf16)
    return MultiplyRounded(queue, a, b, c, static_cast<uint16_t*>(workspace));
#endif
  MultiplyWidened(queue, a, b, c, static_cast<float*>(workspace));
}

// A rounded before.
void MultiplyRows(Queue& queue, const RoundedRows& a, const PackedBf16& b, const GemmOutput& c) {
  const int64_t depth = (b.rows + 1) / 2 * 2;
  const auto* rows = static_cast<const uint16_t*>(a.values.raw());
#if VITRAIL_HAS_BF16_DOT
  if (dot_products().bf16)
    return MultiplyPanels(queue, Bf16Dot{}, rows, a.stride, a.rows, depth, b.panels.raw(),
                          b.columns, c);
#endif
  const Tensor widened = Tensor::empty({a.rows, a.stride});
  queue.pool().parallel_ranges(a.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * a.stride; i < end * a.stride; i += kLanes)
      Store(LoadBits(rows + i), widened.f32() + i);
  });
  MultiplyPanels(queue, Bf16Widened{}, widened.f32(), a.stride, a.rows, depth, b.panels.raw(),
                 b.columns, c);
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(Bf16PanelWidth);
HWY_EXPORT(PackPanelsBf16);
HWY_EXPORT(MultiplyBf16);
HWY_EXPORT(RoundedStride);
HWY_EXPORT(RoundRows);
HWY_EXPORT(MultiplyRows);

PackedBf16 pack_bf16(Queue& queue, const Matrix& b) {
  const int64_t width = VITRAIL_DISPATCH(Bf16PanelWidth)();
  const int64_t panels = (b.columns + width - 1) / width;
  PackedBf16 packed{.panels = Tensor::empty({panels, (b.rows + 1) / 2, width, 2}, DType::bf16),
                    .rows = b.rows,
                    .columns = b.columns};
  VITRAIL_DISPATCH(PackPanelsBf16)(queue, b, static_cast<uint16_t*>(packed.panels.raw()));
  return packed;
}

int64_t gemm_bf16_workspace(int64_t rows, const PackedBf16& b) {
  constexpr int64_t kPadding = 32;  // at least a vector, whatever the instruction set
  return rows * (b.rows + kPadding) * int64_t{sizeof(float)};
}

void gemm_bf16(Queue& queue, const LeftOperand& a, const PackedBf16& b, const GemmOutput& c,
               void* workspace) {
  assert(a.a.columns == b.rows && a.a.column_stride == 1);
  if (a.a.rows == 0 || b.columns == 0) return;
  VITRAIL_DISPATCH(MultiplyBf16)(queue, a, b, c, workspace);
}

RoundedRows round_rows(Queue& queue, const Matrix& a) {
  assert(a.column_stride == 1);
  RoundedRows rounded{.values = {},
                      .rows = a.rows,
                      .columns = a.columns,
                      .stride = VITRAIL_DISPATCH(RoundedStride)(a.columns)};
  rounded.values = Tensor::empty({a.rows, rounded.stride}, DType::bf16);
  VITRAIL_DISPATCH(RoundRows)
  (queue, a, rounded.stride, static_cast<uint16_t*>(rounded.values.raw()));
  return rounded;
}

void gemm_bf16(Queue& queue, const RoundedRows& a, const PackedBf16& b, const GemmOutput& c) {
  assert(a.columns == b.rows);
  if (a.rows == 0 || b.columns == 0) return;
  VITRAIL_DISPATCH(MultiplyRows)(queue, a, b, c);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
