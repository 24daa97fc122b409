#include "kernels/gemm_int8.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm_int8.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/dot_tiles.h"
#include "kernels/cpu/gemm_driver-inl.h"

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

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

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

  // scale_a * scale_w * (sum - zero * sum_q); the bracket is an exact integer.
  const float* to_float(int64_t row, int64_t column, const int32_t* sums_of_row,
                        float* out) const {
    const FloatTag d;
    const IntTag di;
    const auto scale = hn::Set(d, rows[row].scale);
    const auto zero = hn::Set(di, rows[row].zero);
    for (int v = 0; v < kTileVectors; ++v) {
      const int64_t at = v * kLanes;
      const auto sum = hn::LoadU(di, sums_of_row + at);
      const auto correction = hn::Mul(zero, hn::LoadU(di, sums + column + at));
      const auto factor = hn::Mul(scale, hn::LoadU(d, scales + column + at));
      hn::StoreU(hn::Mul(hn::ConvertTo(d, hn::Sub(sum, correction)), factor), d, out + at);
    }
    return out;
  }
};

// Any processor: a panel's block is widened once to pairs of 16 bits, whose products and their sum
// in 32 bits are exact. Pairs are (0, 2) and (1, 3) of each group of four.
struct Int8Widened : Int8Rows {
  using Left = int16_t;
  using Sum = int32_t;
  static constexpr int64_t kGroup = kGroupSize;
  static constexpr int64_t kDepth = 256;
  static constexpr int64_t kPanelBytes = kPanelWidth;
  using Scratch = int16_t[kDepth * kPanelWidth];
  using ShortTag = hn::RepartitionToNarrow<IntTag>;

  static const int16_t* unfold(const char* block, int64_t depth, Scratch& scratch) {
    const ShortTag ds;
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

  template <int kRows, int kVectors>
  static HWY_NOINLINE void Tile(int64_t depth, const int16_t* a, int64_t a_stride,
                                const int16_t* panel, int32_t* sums, int64_t stride,
                                bool accumulate, const char* ahead) {
    const IntTag di;
    const ShortTag ds;
    using V = hn::Vec<IntTag>;
    V sum[kRows][kVectors], other[kRows][kVectors];  // `other` stays zero on x86
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = accumulate ? hn::LoadU(di, sums + r * stride + v * kLanes) : hn::Zero(di);
      other[r][v] = hn::Zero(di);
    }
    for (int64_t k = 0; k < depth; k += 2) {
      if (k % 16 == 0) __builtin_prefetch(ahead + k * 4, 0, 2);
      hn::Vec<ShortTag> b[kVectors];
      HWY_UNROLL(3)
      for (int v = 0; v < kVectors; ++v) b[v] = hn::Load(ds, panel + 2 * v * kLanes);
      panel += 2 * kPanelWidth;
      HWY_UNROLL(8)
      for (int r = 0; r < kRows; ++r) {
        int32_t pair;
        hwy::CopyBytes<sizeof(pair)>(a + r * a_stride + k, &pair);
        const auto left = hn::BitCast(ds, hn::Set(di, pair));
        HWY_UNROLL(3)
        for (int v = 0; v < kVectors; ++v)
          sum[r][v] = hn::ReorderWidenMulAccumulate(di, left, b[v], sum[r][v], other[r][v]);
      }
    }
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v)
      hn::StoreU(hn::RearrangeToOddPlusEven(sum[r][v], other[r][v]), di,
                 sums + r * stride + v * kLanes);
  }

  using TileFunction = void (*)(int64_t, const int16_t*, int64_t, const int16_t*, int32_t*, int64_t,
                                bool, const char*);
  template <int kVectors, int... kRowIndex>
  static TileFunction TileOfRows(int rows, std::integer_sequence<int, kRowIndex...>) {
    static constexpr TileFunction kTiles[] = {Tile<kRowIndex + 1, kVectors>...};
    return kTiles[rows - 1];
  }
  static TileFunction FindTile(int vectors, int rows) {
    constexpr std::make_integer_sequence<int, kTileRows> kRows;
    if (vectors == 1) return TileOfRows<1>(rows, kRows);
    if (vectors == 2) return TileOfRows<2>(rows, kRows);
    return TileOfRows<kTileVectors>(rows, kRows);
  }
  static void tile(int vectors, int rows, int64_t depth, const int16_t* a, int64_t a_stride,
                   const int16_t* panel, int32_t* sums, int64_t stride, bool accumulate,
                   const char* ahead) {
    FindTile(vectors, rows)(depth, a, a_stride, panel, sums, stride, accumulate, ahead);
  }

  // Four values of a row of A, as the widened panel pairs them.
  static void StoreGroup(const uint8_t* four, int16_t* out) {
    out[0] = four[0];
    out[1] = four[2];
    out[2] = four[1];
    out[3] = four[3];
  }
};

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
#define VITRAIL_HAS_INT8_DOT 1
struct Int8Dot : Int8Rows {
  using Left = uint8_t;
  using Sum = int32_t;
  static constexpr int64_t kGroup = kGroupSize;
  static constexpr int64_t kDepth = 512;
  static constexpr int64_t kPanelBytes = kPanelWidth;
  struct Scratch {};

  static const int8_t* unfold(const char* block, int64_t, Scratch&) {
    return reinterpret_cast<const int8_t*>(block);
  }
  static void tile(int vectors, int rows, int64_t depth, const uint8_t* a, int64_t a_stride,
                   const int8_t* panel, int32_t* sums, int64_t stride, bool accumulate,
                   const char* ahead) {
#if HWY_TARGET == HWY_AVX3
    const Int8Tile function = int8_tile_avx512_vnni(vectors, rows);
#else
    const Int8Tile function = int8_tile_avx2_vnni(vectors, rows);
#endif
    function(depth, a, a_stride, panel, sums, stride, accumulate, ahead);
  }
};
#else
#define VITRAIL_HAS_INT8_DOT 0
#endif

// out[0, count) = q, and zeros up to a whole vector.
RowScale QuantizeRow(const float* row, int64_t count, uint8_t* out) {
  const FloatTag d;
  const IntTag di;
  const hn::Rebind<uint8_t, FloatTag> bytes;
  const int64_t whole = count / kLanes * kLanes;
  HWY_ALIGN float tail[kLanes] = {};
  std::copy(row + whole, row + count, tail);
  auto low = hn::Load(d, tail), high = low;
  auto poison = hn::Mul(low, hn::Zero(d));  // NaN when anything is not finite
  low = hn::Min(low, hn::Zero(d));
  high = hn::Max(high, hn::Zero(d));
  for (int64_t k = 0; k < whole; k += kLanes) {
    const auto x = hn::LoadU(d, row + k);
    low = hn::Min(low, x);
    high = hn::Max(high, x);
    poison = hn::MulAdd(x, hn::Zero(d), poison);
  }
  const float lowest = hn::GetLane(hn::MinOfLanes(d, low));
  const float range = hn::GetLane(hn::MaxOfLanes(d, high)) - lowest;
  const float nan = hn::GetLane(hn::SumOfLanes(d, poison));
  if (nan != 0) {
    std::fill_n(out, round_up(count, kLanes), uint8_t{0});
    return {.scale = nan, .zero = 1};
  }
  const float inverse = range > 0 ? 255.0f / range : 0.0f;
  const auto zero = static_cast<int32_t>(std::nearbyint(-lowest * inverse));
  const auto factor = hn::Set(d, inverse);
  const auto shift = hn::Set(di, zero);
  const auto store = [&](hn::Vec<FloatTag> x, uint8_t* to) HWY_ATTR {
    const auto q = hn::Add(hn::NearestInt(hn::Mul(x, factor)), shift);
    hn::StoreU(hn::DemoteTo(bytes, q), bytes, to);  // saturates to [0, 255]
  };
  for (int64_t k = 0; k < whole; k += kLanes) store(hn::LoadU(d, row + k), out + k);
  if (whole < count) store(hn::Load(d, tail), out + whole);
  return {.scale = range > 0 ? range / 255.0f : 0.0f, .zero = zero};
}

// Workspace: a RowScale for each row, then the rows.
template <class Precision>
void MultiplyQuantized(Queue& queue, const Matrix& a, const PackedInt8& b, const GemmOutput& c,
                       void* workspace) {
  using Left = typename Precision::Left;
  const int64_t depth = round_up(b.rows, kGroupSize);
  const int64_t stride = round_up(b.rows, kAlignment);
  auto* rows = static_cast<RowScale*>(workspace);
  auto* left = reinterpret_cast<Left*>(static_cast<char*>(workspace) +
                                       round_up(a.rows * int64_t{sizeof(RowScale)}, kAlignment));
  queue.pool().parallel_ranges(a.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* row = a.data + r * a.row_stride;
      if constexpr (std::is_same_v<Left, uint8_t>) {
        rows[r] = QuantizeRow(row, a.columns, left + r * stride);
      } else {
        // The bytes sit in the upper half of the room that the shorts will fill from below.
        int16_t* out = left + r * stride;
        auto* quantized = reinterpret_cast<uint8_t*>(out) + stride;
        rows[r] = QuantizeRow(row, a.columns, quantized);
        for (int64_t k = 0; k < depth; k += kGroupSize) {
          uint8_t four[kGroupSize];
          std::copy_n(quantized + k, kGroupSize, four);
          Precision::StoreGroup(four, out + k);
        }
      }
    }
  });
  Precision precision;
  precision.rows = rows;
  precision.scales = b.scales.f32();
  precision.sums = b.sums.template data<int32_t>();
  MultiplyPanels(queue, precision, left, stride, a.rows, depth, b.panels.raw(), b.columns, c);
}

void MultiplyInt8(Queue& queue, const Matrix& a, const PackedInt8& b, const GemmOutput& c,
                  void* workspace) {
#if VITRAIL_HAS_INT8_DOT
  if (dot_products().int8) return MultiplyQuantized<Int8Dot>(queue, a, b, c, workspace);
#endif
  MultiplyQuantized<Int8Widened>(queue, a, b, c, workspace);
}

#undef VITRAIL_HAS_INT8_DOT
}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(Int8PanelWidth);
HWY_EXPORT(MultiplyInt8);

QuantizedWeight quantize_weight(Queue& queue, const float* weight, int64_t outputs,
                                int64_t inputs) {
  QuantizedWeight quantized{.values = Tensor::empty({outputs, inputs}, DType::i8),
                            .scales = Tensor::empty({outputs})};
  queue.pool().parallel_for(outputs, [&](int64_t n, int) {
    const float* row = weight + n * inputs;
    float largest = 0;
    for (int64_t k = 0; k < inputs; ++k) largest = std::max(largest, std::abs(row[k]));
    const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
    quantized.scales.f32()[n] = largest / 127.0f;
    int8_t* out = quantized.values.data<int8_t>() + n * inputs;
    for (int64_t k = 0; k < inputs; ++k)
      out[k] = static_cast<int8_t>(
          std::clamp(std::nearbyint(row[k] * inverse), -127.0f, 127.0f));
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
  queue.pool().parallel_for(count, [&](int64_t p, int) {
    int8_t* panel = packed.panels.data<int8_t>() + p * width * depth;
    std::fill_n(panel, width * depth, int8_t{0});
    for (int64_t c = 0; c < std::min(width, outputs - p * width); ++c) {
      const int8_t* row = weight.values.data<int8_t>() + (p * width + c) * inputs;
      int32_t sum = 0;
      for (int64_t k = 0; k < inputs; ++k) {
        panel[(k / kGroupSize * width + c) * kGroupSize + k % kGroupSize] = row[k];
        sum += row[k];
      }
      packed.sums.data<int32_t>()[p * width + c] = sum;
    }
  });
  return packed;
}

int64_t gemm_int8_workspace(int64_t rows, const PackedInt8& b) {
  return round_up(rows * int64_t{sizeof(RowScale)}, kAlignment) +
         rows * round_up(b.rows, kAlignment) * int64_t{sizeof(int16_t)};
}

void gemm_int8(Queue& queue, const Matrix& a, const PackedInt8& b, const GemmOutput& c,
               void* workspace) {
  assert(a.columns == b.rows && a.column_stride == 1 && b.rows <= kMaxInt8Depth);
  if (a.rows == 0 || b.columns == 0) return;
  VITRAIL_DISPATCH(MultiplyInt8)(queue, a, b, c, workspace);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
