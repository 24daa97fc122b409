#include "image/pixel_rows.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/pixel_rows.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int32_t kHalf = int32_t{1} << (kPrecisionBits - 1);
using D32 = hn::CappedTag<int32_t, kBlockRows>;
using V32 = hn::Vec<D32>;

HWY_INLINE V32 LoadPixels(const uint8_t* from) {
  const hn::Rebind<uint8_t, D32> bytes;
  return hn::PromoteTo(D32(), hn::LoadU(bytes, from));
}

HWY_INLINE void StoreClipped(V32 sum, uint8_t* to) {
  const hn::Rebind<uint8_t, D32> bytes;
  hn::StoreU(hn::DemoteTo(bytes, hn::ShiftRight<kPrecisionBits>(sum)), bytes, to);
}

// 16 x 16 bytes. An element's address is 8 bits, row and column; a round turns them by one to the
// left, and four exchange row and column.
template <class D8, class V8>
HWY_INLINE void Transpose16(D8 d, V8* v) {
  V8 t[16];
  const auto round = [&](const V8* from, V8* to) HWY_ATTR {
    for (int i = 0; i < 8; ++i) {
      to[2 * i] = hn::InterleaveLower(d, from[i], from[i + 8]);
      to[2 * i + 1] = hn::InterleaveUpper(d, from[i], from[i + 8]);
    }
  };
  round(v, t);
  round(t, v);
  round(v, t);
  round(t, v);
}

// Columns [begin, end) of the rows' bytes become [end - begin, kBlockRows]; rows beyond `rows`
// repeat the last.
void TransposeIn(const AcrossArgs& args, size_t begin, size_t end) {
  const hn::Full128<uint8_t> d;
  hn::Vec<decltype(d)> v[kBlockRows];
  uint8_t* to = args.scratch;
  for (size_t at = begin; at < end; at += kBlockRows, to += kBlockRows * kBlockRows) {
    const size_t count = std::min<size_t>(kBlockRows, end - at);
    for (int row = 0; row < kBlockRows; ++row) {
      const uint8_t* from = args.from[std::min(row, args.rows - 1)] + at;
      if (count == kBlockRows) {
        v[row] = hn::LoadU(d, from);
      } else {
        HWY_ALIGN uint8_t part[kBlockRows] = {};
        std::memcpy(part, from, count);
        v[row] = hn::Load(d, part);
      }
    }
    Transpose16(d, v);
    for (int column = 0; column < kBlockRows; ++column)
      hn::Store(v[column], d, to + column * kBlockRows);
  }
}

// Columns [at, at + count) of the output rows, from [count, kBlockRows]; count <= kBlockRows.
void TransposeOut(const AcrossArgs& args, const uint8_t* columns, size_t at, size_t count) {
  const hn::Full128<uint8_t> d;
  hn::Vec<decltype(d)> v[kBlockRows];
  for (int column = 0; column < kBlockRows; ++column)
    v[column] = hn::Load(d, columns + column * kBlockRows);
  Transpose16(d, v);
  if (count == kBlockRows) {
    for (int row = 0; row < kBlockRows; ++row)
      if (row < args.rows) hn::StoreU(v[row], d, args.to[row] + at);
    return;
  }
  for (int row = 0; row < kBlockRows; ++row) {
    HWY_ALIGN uint8_t part[kBlockRows];
    hn::Store(v[row], d, part);
    if (row < args.rows) std::memcpy(args.to[row] + at, part, count);
  }
}

// One output pixel of all rows of the block.
template <int kChannels>
HWY_INLINE void MixColumns(const uint8_t* pixel, const int32_t* k, int count, uint8_t* to) {
  const D32 d;
  constexpr int kVectors = kBlockRows / static_cast<int>(hn::MaxLanes(D32()));
  V32 sums[kChannels * kVectors];
  for (V32& sum : sums) sum = hn::Set(d, kHalf);
  for (int i = 0; i < count; ++i, pixel += kChannels * kBlockRows) {
    const V32 weight = hn::Set(d, k[i]);
    for (int j = 0; j < kChannels * kVectors; ++j)
      sums[j] = hn::Add(sums[j], hn::Mul(weight, LoadPixels(pixel + j * hn::Lanes(d))));
  }
  for (int j = 0; j < kChannels * kVectors; ++j) StoreClipped(sums[j], to + j * hn::Lanes(d));
}

template <int kChannels>
void Across(const AcrossArgs& args) {
  const FixedWeights& weights = *args.weights;
  const size_t begin = static_cast<size_t>(weights.windows.front().begin) * kChannels;
  const Window last = weights.windows.back();
  TransposeIn(args, begin, static_cast<size_t>(last.begin + last.count) * kChannels);
  // 16 output pixels at a time, so that whole 16 x 16 squares turn back into rows.
  HWY_ALIGN uint8_t columns[kChannels * kBlockRows * kBlockRows] = {};
  const int width = static_cast<int>(weights.windows.size());
  const int32_t* k = weights.values.data();
  for (int x = 0; x < width; x += kBlockRows) {
    const int pixels = std::min(kBlockRows, width - x);
    for (int i = 0; i < pixels; ++i, k += weights.stride) {
      const Window window = weights.windows[static_cast<size_t>(x + i)];
      const size_t column = static_cast<size_t>(window.begin) * kChannels - begin;
      MixColumns<kChannels>(args.scratch + column * kBlockRows, k, window.count,
                            columns + i * kChannels * kBlockRows);
    }
    const int bytes = pixels * kChannels;
    for (int i = 0; i < bytes; i += kBlockRows)
      TransposeOut(args, columns + i * kBlockRows, static_cast<size_t>(x * kChannels + i),
                   static_cast<size_t>(std::min(kBlockRows, bytes - i)));
  }
}

void ResizeAcross(const AcrossArgs& args) {
  if (args.channels == 1)
    Across<1>(args);
  else
    Across<3>(args);
}

template <int kVectors>
HWY_INLINE void MixRows(const DownArgs& args, size_t at) {
  const D32 d;
  V32 sums[kVectors];
  for (V32& sum : sums) sum = hn::Set(d, kHalf);
  for (int r = 0; r < args.count; ++r) {
    const V32 weight = hn::Set(d, args.weights[r]);
    const uint8_t* from = args.rows[r] + at;
    for (int j = 0; j < kVectors; ++j)
      sums[j] = hn::Add(sums[j], hn::Mul(weight, LoadPixels(from + j * hn::Lanes(d))));
  }
  for (int j = 0; j < kVectors; ++j) StoreClipped(sums[j], args.to + at + j * hn::Lanes(d));
}

void ResizeDown(const DownArgs& args) {
  constexpr int kVectors = 6;  // sums in registers; with a weight and a product, 8 of SSE4's 16
  const size_t lanes = hn::Lanes(D32());
  size_t at = 0;
  for (; at + kVectors * lanes <= args.bytes; at += kVectors * lanes) MixRows<kVectors>(args, at);
  for (; at + lanes <= args.bytes; at += lanes) MixRows<1>(args, at);
  for (; at < args.bytes; ++at) {
    int32_t sum = kHalf;
    for (int r = 0; r < args.count; ++r) sum += args.rows[r][at] * args.weights[r];
    args.to[at] = static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
  }
}

// The quotient a / b, correctly rounded, from b's rounded reciprocal: one step on the remainder
// (Markstein 1990). It needs fused multiply-add, and check_formula() finds out where it is not.
template <class V>
HWY_INLINE V Divided(V a, V b, V reciprocal) {
  const V quotient = hn::Mul(a, reciprocal);
  return hn::MulAdd(hn::NegMulAdd(quotient, b, a), reciprocal, quotient);
}

constexpr int kPixels = 16;  // normalised at once

// 16 bytes to 16 floats.
HWY_INLINE void NormalizeBytes(const uint8_t* from, const ByteToFloat& map, float* to) {
  const D32 d;
  const hn::RebindToFloat<D32> df;
  const auto divisor = hn::Set(df, map.divisor), deviation = hn::Set(df, map.deviation);
  const auto per_divisor = hn::Set(df, 1.0f / map.divisor),
             per_deviation = hn::Set(df, 1.0f / map.deviation);
  const auto mean = hn::Set(df, map.mean);
  for (size_t i = 0; i < kPixels; i += hn::Lanes(d)) {
    const auto value = Divided(hn::ConvertTo(df, LoadPixels(from + i)), divisor, per_divisor);
    hn::StoreU(Divided(hn::Sub(value, mean), deviation, per_deviation), df, to + i);
  }
}

void CheckFormula(ByteToFloat& map) {
  map.by_formula = true;
  for (int first = 0; first < 256 && map.by_formula; first += kPixels) {
    uint8_t bytes[kPixels];
    float floats[kPixels];
    for (int i = 0; i < kPixels; ++i) bytes[i] = static_cast<uint8_t>(first + i);
    NormalizeBytes(bytes, map, floats);
    map.by_formula = std::memcmp(floats, map.table + first, sizeof(floats)) == 0;
  }
}

void NormalizeRow(const NormalizeArgs& args) {
  const hn::Full128<uint8_t> d8;
  const bool by_formula = std::all_of(args.maps, args.maps + args.channels,
                                      [](const ByteToFloat& map) { return map.by_formula; });
  int x = 0;
  for (; by_formula && x + kPixels <= args.width; x += kPixels) {
    HWY_ALIGN uint8_t planes[3][kPixels];
    const uint8_t* from = args.pixels + static_cast<size_t>(x) * args.pixel_channels;
    if (args.pixel_channels == 3) {
      hn::Vec<decltype(d8)> red, green, blue;
      hn::LoadInterleaved3(d8, from, red, green, blue);
      hn::Store(red, d8, planes[0]);
      hn::Store(green, d8, planes[1]);
      hn::Store(blue, d8, planes[2]);
    }
    for (int c = 0; c < args.channels; ++c)
      NormalizeBytes(args.pixel_channels == 3 ? planes[c] : from, args.maps[c], args.to[c] + x);
  }
  for (int c = 0; c < args.channels; ++c) {
    const uint8_t* from = args.pixels + (args.pixel_channels == 3 ? c : 0);
    for (int i = x; i < args.width; ++i)
      args.to[c][i] = args.maps[c].table[from[static_cast<size_t>(i) * args.pixel_channels]];
  }
}

}  // namespace vitrail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "core/dispatch.h"

namespace vitrail {
HWY_EXPORT(ResizeAcross);
HWY_EXPORT(ResizeDown);
HWY_EXPORT(CheckFormula);
HWY_EXPORT(NormalizeRow);

void resize_across(const AcrossArgs& args) {
  VITRAIL_DISPATCH(ResizeAcross)(args);
}
void resize_down(const DownArgs& args) {
  VITRAIL_DISPATCH(ResizeDown)(args);
}
void check_formula(ByteToFloat& map) {
  VITRAIL_DISPATCH(CheckFormula)(map);
}
void normalize_row(const NormalizeArgs& args) {
  VITRAIL_DISPATCH(NormalizeRow)(args);
}

size_t across_scratch_bytes(const FixedWeights& weights, int channels) {
  const Window last = weights.windows.back();
  const size_t pixels =
      static_cast<size_t>(last.begin + last.count - weights.windows.front().begin);
  const size_t columns = pixels * static_cast<size_t>(channels) + kBlockRows;  // whole squares
  return columns * kBlockRows;
}
}  // namespace vitrail
#endif  // HWY_ONCE
