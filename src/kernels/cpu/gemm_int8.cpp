#include "kernels/gemm_int8.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm_int8.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/dot-inl.h"
#include "kernels/cpu/gemm_driver-inl.h"
#include "kernels/cpu/transpose.h"

#ifndef VITRAIL_GEMM_INT8_ONCE
#define VITRAIL_GEMM_INT8_ONCE
namespace vitrail::kernels {
namespace {

// How a row of A was quantized: a ~ scale * (q - zero).
struct RowScale {
  float scale;
  int32_t zero;
};

constexpr int64_t kGroupSize = 4;  // of k, side by side in a panel

int64_t round_up(int64_t value, int64_t step) {
  return (value + step - 1) / step * step;
}

}  // namespace
}  // namespace vitrail::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

using IntTag = hn::RebindToSigned<FloatTag>;

int64_t Int8PanelWidth() {
  return kPanelWidth;
}

// What both ways of multiplying share: sums become floats.
struct Int8Rows {
  const RowScale* rows;
  const float* scales;
  const int32_t* sums;

  // scale_a * (sum - zero * sum_q) * scale_w + bias; the bracket is an exact integer.
  HWY_INLINE hn::Vec<FloatTag> to_float(int64_t row, int64_t column, hn::Vec<IntTag> sum,
                                        const float* bias) const {
    const FloatTag d;
    const IntTag di;
    const auto correction = hn::Mul(hn::Set(di, rows[row].zero), hn::LoadU(di, sums + column));
    const auto exact = hn::ConvertTo(d, hn::Sub(sum, correction));
    const auto scaled = hn::Mul(exact, hn::Set(d, rows[row].scale));
    const auto offset = bias == nullptr ? hn::Zero(d) : hn::LoadU(d, bias);
    return hn::MulAdd(scaled, hn::LoadU(d, scales + column), offset);
  }
};

// The sums of both.
struct IntSums {
  using Sum = int32_t;
  using Accumulator = hn::Vec<IntTag>;
  static HWY_INLINE Accumulator Zero() { return hn::Zero(IntTag()); }
  static HWY_INLINE Accumulator Load(const int32_t* p) { return hn::LoadU(IntTag(), p); }
  static HWY_INLINE void Store(Accumulator x, int32_t* p) { hn::StoreU(x, IntTag(), p); }
};

// Pairs of 16 bits, whose products and their sum in 32 bits are exact.
struct ShortStep : IntSums {
  using ShortTag = hn::RepartitionToNarrow<IntTag>;
  using Left = int16_t;
  using Right = int16_t;
  using Operand = hn::Vec<ShortTag>;
  static constexpr int kGroup = 2;
  static HWY_INLINE Operand LoadPanel(const int16_t* p) { return hn::Load(ShortTag(), p); }
  static HWY_INLINE Operand Spread(const int16_t* p) {
    int32_t pair;
    hwy::CopyBytes<sizeof(pair)>(p, &pair);
    return hn::BitCast(ShortTag(), hn::Set(IntTag(), pair));
  }
  static HWY_INLINE Accumulator Multiply(Accumulator sum, Operand left, Operand right) {
    auto other = hn::Zero(IntTag());
#if HWY_ARCH_X86  // adds the pairs by itself and leaves `other` alone
    return hn::ReorderWidenMulAccumulate(IntTag(), left, right, sum, other);
#else
    const auto even = hn::ReorderWidenMulAccumulate(IntTag(), left, right, other, other);
    return hn::Add(sum, hn::RearrangeToOddPlusEven(even, other));
#endif
  }
};

// Any processor: a panel's block is widened once to pairs of 16 bits, (0, 2) and (1, 3) of each
// group of four.
struct Int8Widened : Int8Rows {
  using Step = ShortStep;
  static constexpr int64_t kDepth = 256;
  static constexpr int64_t kPanelBytes = kPanelWidth;
  static constexpr bool kCoarse = true;
  using Scratch = int16_t[kDepth * kPanelWidth];

  static const int16_t* unfold(const char* block, int64_t depth, Scratch& scratch) {
    const ShortStep::ShortTag ds;
    constexpr int kShorts = 2 * kLanes;  // a vector holds a pair for each of kLanes columns
    const auto* in = reinterpret_cast<const int16_t*>(block);
    int16_t* out = scratch;
    for (int64_t k = 0; k < depth; k += kGroupSize) {
      for (int v = 0; v < kTileVectors; ++v, in += kShorts, out += kShorts) {
        const auto four = hn::Load(ds, in);
        hn::Store(hn::ShiftRight<8>(hn::ShiftLeft<8>(four)), ds, out);
        hn::Store(hn::ShiftRight<8>(four), ds, out + 2 * kPanelWidth);
      }
      out += 2 * kPanelWidth;
    }
    return scratch;
  }

  // Four values of a row of A, as the widened panel pairs them.
  static void StoreGroup(const uint8_t* four, int16_t* out) {
    out[0] = four[0];
    out[1] = four[2];
    out[2] = four[1];
    out[3] = four[3];
  }
};

#if VITRAIL_HAS_INT8_DOT
// Four k at a time.
template <class Dot>
struct ByteStep : IntSums {
  using Left = uint8_t;
  using Right = int8_t;
  using Operand = hn::Vec<IntTag>;
  static constexpr int kGroup = kGroupSize;
  static HWY_INLINE Operand LoadPanel(const int8_t* p) {
    return hn::Load(IntTag(), reinterpret_cast<const int32_t*>(p));
  }
  static HWY_INLINE Operand Spread(const uint8_t* p) {
    int32_t four;
    hwy::CopyBytes<sizeof(four)>(p, &four);
    return hn::Set(IntTag(), four);
  }
  static HWY_INLINE Accumulator Multiply(Accumulator sum, Operand left, Operand right) {
    return Dot::Add(sum, left, right);
  }
};

template <class Dot>
struct Int8Dot : Int8Rows {
  using Step = ByteStep<Dot>;
  static constexpr int64_t kDepth = 768;
  static constexpr int64_t kPanelBytes = kPanelWidth;
  static constexpr bool kCoarse = true;
  struct Scratch {};

  static const int8_t* unfold(const char* block, int64_t, Scratch&) {
    return reinterpret_cast<const int8_t*>(block);
  }
};
#endif

// out[0, count) = q, and zeros up to a whole vector.
RowScale QuantizeRow(const float* row, int64_t count, uint8_t* out) {
  const FloatTag d;
  const IntTag di;
  const hn::Rebind<uint8_t, FloatTag> bytes;
  const int64_t whole = count / kLanes * kLanes;
  HWY_ALIGN float tail[kLanes] = {};
  std::copy(row + whole, row + count, tail);
  const auto last = hn::Load(d, tail);
  auto low = hn::Min(last, hn::Zero(d)), high = hn::Max(last, hn::Zero(d));
  auto low2 = hn::Zero(d), high2 = hn::Zero(d);
  auto poison = hn::Sub(last, last);  // NaN where something is not finite, else zero
  const auto look = [&](hn::Vec<FloatTag> x, hn::Vec<FloatTag>& lowest, hn::Vec<FloatTag>& highest)
                        HWY_ATTR {
                          lowest = hn::Min(lowest, x);
                          highest = hn::Max(highest, x);
                          poison = hn::MulAdd(x, hn::Zero(d), poison);
                        };
  int64_t k = 0;
  for (; k + 2 * kLanes <= whole; k += 2 * kLanes) {
    look(hn::LoadU(d, row + k), low, high);
    look(hn::LoadU(d, row + k + kLanes), low2, high2);
  }
  if (k < whole) look(hn::LoadU(d, row + k), low, high);
  const float lowest = hn::GetLane(hn::MinOfLanes(d, hn::Min(low, low2)));
  const float range = hn::GetLane(hn::MaxOfLanes(d, hn::Max(high, high2))) - lowest;
  if (!hn::AllTrue(d, hn::Eq(poison, hn::Zero(d)))) {
    std::fill_n(out, round_up(count, kLanes), uint8_t{0});
    return {.scale = std::numeric_limits<float>::quiet_NaN(), .zero = 1};
  }
  const float inverse = range > 0 ? 255.0f / range : 0.0f;
  const auto zero = static_cast<int32_t>(std::nearbyint(-lowest * inverse));
  const auto factor = hn::Set(d, inverse);
  const auto shift = hn::Set(di, zero - 0x4b400000);
  // 1.5 * 2^23 more rounds to the nearest integer, which is then what the bits are more by.
  const auto rounder = hn::Set(d, 12582912.0f);
  const auto store = [&](hn::Vec<FloatTag> x, uint8_t* to) HWY_ATTR {
    const auto q = hn::Add(hn::BitCast(di, hn::Add(hn::Mul(x, factor), rounder)), shift);
    hn::StoreU(hn::DemoteTo(bytes, q), bytes, to);  // saturates to [0, 255]
  };
  for (k = 0; k < whole; k += kLanes) store(hn::LoadU(d, row + k), out + k);
  if (whole < count) store(hn::Load(d, tail), out + whole);
  return {.scale = range > 0 ? range / 255.0f : 0.0f, .zero = zero};
}

// Workspace: a RowScale for each row, then the rows.
template <class Precision>
void MultiplyQuantized(Queue& queue, const LeftOperand& operand, const PackedInt8& b,
                       const GemmOutput& c, void* workspace) {
  const Matrix& a = operand.a;
  using Left = typename Precision::Step::Left;
  const int64_t depth = round_up(b.rows, kGroupSize);
  const int64_t stride = round_up(b.rows, kAlignment);
  auto* rows = static_cast<RowScale*>(workspace);
  auto* left = reinterpret_cast<Left*>(static_cast<char*>(workspace) +
                                       round_up(a.rows * int64_t{sizeof(RowScale)}, kAlignment));
  ForEachRow(queue, operand, [&](int64_t r, const float* values) {
    if constexpr (std::is_same_v<Left, uint8_t>) {
      rows[r] = QuantizeRow(values, a.columns, left + r * stride);
    } else {
      // The bytes sit in the upper half of the room that the shorts will fill from below.
      int16_t* out = left + r * stride;
      auto* quantized = reinterpret_cast<uint8_t*>(out) + stride;
      rows[r] = QuantizeRow(values, a.columns, quantized);
      for (int64_t k = 0; k < depth; k += kGroupSize) {
        uint8_t four[kGroupSize];
        std::copy_n(quantized + k, kGroupSize, four);
        Precision::StoreGroup(four, out + k);
      }
    }
  });
  Precision precision;
  precision.rows = rows;
  precision.scales = b.scales.f32();
  precision.sums = b.sums.template data<int32_t>();
  MultiplyPanels(queue, precision, left, stride, a.rows, depth, b.panels.raw(), b.columns, c);
}

void MultiplyInt8(Queue& queue, const LeftOperand& a, const PackedInt8& b, const GemmOutput& c,
                  void* workspace) {
#if VITRAIL_HAS_INT8_DOT
  if (dot_products().mixed_int8)
    return MultiplyQuantized<Int8Dot<MixedDot>>(queue, a, b, c, workspace);
#endif
#if VITRAIL_HAS_SIGNED_DOT
  if (dot_products().int8) return MultiplyQuantized<Int8Dot<SignedDot>>(queue, a, b, c, workspace);
#endif
  MultiplyQuantized<Int8Widened>(queue, a, b, c, workspace);
}

// q = row / scale, nearest, ties to even; returns the scale.
float QuantizeWeightRow(const float* row, int64_t count, int8_t* out) {
  const FloatTag d;
  const hn::Rebind<int8_t, FloatTag> bytes;
  const int64_t whole = count / kLanes * kLanes;
  HWY_ALIGN float tail[kLanes] = {};
  std::copy(row + whole, row + count, tail);
  auto high = hn::Abs(hn::Load(d, tail));
  for (int64_t k = 0; k < whole; k += kLanes) high = hn::Max(high, hn::Abs(hn::LoadU(d, row + k)));
  const float largest = hn::GetLane(hn::MaxOfLanes(d, high));
  const auto inverse = hn::Set(d, largest > 0 ? 127.0f / largest : 0.0f);
  const auto bound = hn::Set(d, 127.0f);
  const auto quantized = [&](hn::Vec<FloatTag> x) HWY_ATTR {
    const auto q = hn::Min(hn::Max(hn::Mul(x, inverse), hn::Neg(bound)), bound);
    return hn::DemoteTo(bytes, hn::NearestInt(q));
  };
  for (int64_t k = 0; k < whole; k += kLanes)
    hn::StoreU(quantized(hn::LoadU(d, row + k)), bytes, out + k);
  HWY_ALIGN int8_t rest[kLanes];
  hn::Store(quantized(hn::Load(d, tail)), bytes, rest);
  std::copy_n(rest, count - whole, out + whole);
  return largest / 127.0f;
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(Int8PanelWidth);
HWY_EXPORT(MultiplyInt8);
HWY_EXPORT(QuantizeWeightRow);

QuantizedWeight quantize_weight(Queue& queue, const float* weight, int64_t outputs,
                                int64_t inputs) {
  QuantizedWeight quantized{.values = Tensor::empty({outputs, inputs}, DType::i8),
                            .scales = Tensor::empty({outputs})};
  const auto quantize_row = VITRAIL_DISPATCH(QuantizeWeightRow);
  queue.pool().parallel_for(outputs, [&](int64_t n, int) {
    quantized.scales.f32()[n] =
        quantize_row(weight + n * inputs, inputs, quantized.values.data<int8_t>() + n * inputs);
  });
  return quantized;
}

void dequantize_weight(Queue& queue, const QuantizedWeight& weight, float* out) {
  const int64_t inputs = weight.values.size(1);
  queue.pool().parallel_for(weight.values.size(0), [&](int64_t n, int) {
    const int8_t* row = weight.values.data<int8_t>() + n * inputs;
    const float scale = weight.scales.f32()[n];
    for (int64_t k = 0; k < inputs; ++k) out[n * inputs + k] = scale * static_cast<float>(row[k]);
  });
}

PackedInt8 pack_int8(Queue& queue, const QuantizedWeight& weight) {
  const int64_t outputs = weight.values.size(0), inputs = weight.values.size(1);
  const int64_t width = VITRAIL_DISPATCH(Int8PanelWidth)();
  const int64_t count = (outputs + width - 1) / width;
  const int64_t depth = round_up(inputs, kGroupSize);
  PackedInt8 packed{
      .panels = Tensor::empty({count, depth / kGroupSize, width, kGroupSize}, DType::i8),
      .scales = Tensor::zeros({count * width}),
      .sums = Tensor::zeros({count * width}, DType::i32),
      .rows = inputs,
      .columns = outputs};
  std::copy_n(weight.scales.f32(), outputs, packed.scales.f32());
  const bool words = reinterpret_cast<uintptr_t>(weight.values.raw()) % kGroupSize == 0;
  const Tensor values = words ? weight.values : weight.values.clone();
  queue.pool().parallel_for(count, [&](int64_t p, int) {
    int8_t* panel = packed.panels.data<int8_t>() + p * width * depth;
    const int64_t columns = std::min(width, outputs - p * width);
    const int8_t* rows = values.data<int8_t>() + p * width * inputs;
    for (int64_t c = 0; c < columns; ++c)
      packed.sums.data<int32_t>()[p * width + c] =
          std::accumulate(rows + c * inputs, rows + (c + 1) * inputs, int32_t{0});
    if (columns == width && depth == inputs) {
      // Whole groups of k change places as words of 32 bits.
      const int64_t groups = depth / kGroupSize;
      return transpose(reinterpret_cast<const float*>(rows), groups, width, groups,
                       reinterpret_cast<float*>(panel), width);
    }
    std::fill_n(panel, width * depth, int8_t{0});
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t k = 0; k < inputs; ++k)
        panel[(k / kGroupSize * width + c) * kGroupSize + k % kGroupSize] = rows[c * inputs + k];
  });
  return packed;
}

int64_t gemm_int8_workspace(int64_t rows, const PackedInt8& b) {
  return round_up(rows * int64_t{sizeof(RowScale)}, kAlignment) +
         rows * round_up(b.rows, kAlignment) * int64_t{sizeof(int16_t)};
}

void gemm_int8(Queue& queue, const LeftOperand& a, const PackedInt8& b, const GemmOutput& c,
               void* workspace) {
  assert(a.a.columns == b.rows && a.a.column_stride == 1 && b.rows <= kMaxInt8Depth);
  if (a.a.rows == 0 || b.columns == 0) return;
  VITRAIL_DISPATCH(MultiplyInt8)(queue, a, b, c, workspace);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
