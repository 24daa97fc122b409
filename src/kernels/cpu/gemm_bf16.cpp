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

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

using BitsTag = hn::RebindToUnsigned<FloatTag>;
using Bits = hn::Vec<BitsTag>;

int64_t Bf16PanelWidth() {
  return kPanelWidth;
}

// The bits of x rounded to bf16 (nearest, ties to even), in the upper half; NaN stays NaN.
HWY_INLINE Bits RoundToBf16(hn::Vec<FloatTag> x) {
  const FloatTag d;
  const BitsTag du;
  const Bits bits = hn::BitCast(du, x);
  const Bits odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  const Bits rounded = hn::Add(hn::Add(bits, hn::Set(du, 0x7fffu)), odd);
  const Bits nan = hn::Or(bits, hn::Set(du, 0x400000u));
  const auto is_nan = hn::RebindMask(du, hn::IsNaN(hn::BitCast(d, bits)));
  return hn::And(hn::IfThenElse(is_nan, nan, rounded), hn::Set(du, 0xffff0000u));
}

// Rounded values, as floats or as bf16; count is a multiple of kLanes or the tail is padded by
// zeros.
HWY_INLINE void Store(Bits bits, float* out) {
  hn::StoreU(hn::BitCast(FloatTag(), bits), FloatTag(), out);
}
HWY_INLINE void Store(Bits bits, uint16_t* out) {
  const hn::Rebind<uint16_t, BitsTag> half;
  hn::StoreU(
      hn::DemoteTo(half, hn::BitCast(hn::RebindToSigned<BitsTag>(), hn::ShiftRight<16>(bits))),
      half, out);
}
template <class T>
void RoundRow(const float* row, int64_t count, T* out) {
  const FloatTag d;
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes) Store(RoundToBf16(hn::LoadU(d, row + k)), out + k);
  if (k == count) return;
  HWY_ALIGN float tail[kLanes] = {};
  std::copy(row + k, row + count, tail);
  Store(RoundToBf16(hn::Load(d, tail)), out + k);
}

// Through the f32 tiles: a panel's block is widened once for all rows of A.
struct Bf16Widened : FloatSums {
  using Step = F32Step;
  static constexpr int64_t kDepth = 128;
  static constexpr bool kCoarse = true;
  static constexpr int64_t kPanelBytes = kPanelWidth * int64_t{sizeof(uint16_t)};
  using Scratch = float[kDepth * kPanelWidth];

  static const float* unfold(const char* block, int64_t depth, Scratch& scratch) {
    const FloatTag d;
    const BitsTag du;
    const auto* pairs = reinterpret_cast<const uint32_t*>(block);
    float* out = scratch;
    for (int64_t k = 0; k < depth; k += 2) {
      for (int v = 0; v < kTileVectors; ++v, pairs += kLanes, out += kLanes) {
        const Bits pair = hn::Load(du, pairs);
        hn::Store(hn::BitCast(d, hn::ShiftLeft<16>(pair)), d, out);
        hn::Store(hn::BitCast(d, hn::And(pair, hn::Set(du, 0xffff0000u))), d, out + kPanelWidth);
      }
      out += kPanelWidth;
    }
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

// [K / 2][kPanelWidth][2] of columns [first, first + columns) of B; zeros beyond.
void PackPanelBf16(const Matrix& b, int64_t first, int64_t columns, uint16_t* panel) {
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
  queue.pool().parallel_for(count, [&](int64_t p, int) {
    PackPanelBf16(b, p * kPanelWidth, std::min<int64_t>(kPanelWidth, b.columns - p * kPanelWidth),
                  panels + p * kPanelWidth * depth);
  });
}

template <class Precision>
void MultiplyRounded(Queue& queue, const LeftOperand& operand, const PackedBf16& b,
                     const GemmOutput& c, void* workspace) {
  const int64_t depth = (b.rows + 1) / 2 * 2;
  const int64_t stride = (depth + kLanes - 1) / kLanes * kLanes;
  auto* left = static_cast<typename Precision::Step::Left*>(workspace);
  ForEachRow(queue, operand, [&](int64_t r, const float* values) {
    RoundRow(values, operand.a.columns, left + r * stride);
  });
  MultiplyPanels(queue, Precision{}, left, stride, operand.a.rows, depth, b.panels.raw(), b.columns,
                 c);
}

void MultiplyBf16(Queue& queue, const LeftOperand& a, const PackedBf16& b, const GemmOutput& c,
                  void* workspace) {
#if VITRAIL_HAS_BF16_DOT
  if (dot_products().bf16) return MultiplyRounded<Bf16Dot>(queue, a, b, c, workspace);
#endif
  MultiplyRounded<Bf16Widened>(queue, a, b, c, workspace);
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(Bf16PanelWidth);
HWY_EXPORT(PackPanelsBf16);
HWY_EXPORT(MultiplyBf16);

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

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
