// Heads of attention in 8-bit integers, and their products.
//
// A unit is four bytes: neighbours along head_dim in q and k, along the keys in P and v. Signed
// bytes are multiplied with unsigned ones, as the dot-product instructions do: k is held with 128
// added, which the first sum of a column takes back, and P is never negative. All sums are exact,
// so every instruction set has the same scores.
#include <cmath>
#include <cstdint>

#include "hwy/highway.h"

#if defined(VITRAIL_ATTENTION_INT8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_ATTENTION_INT8_INL_H_
#undef VITRAIL_ATTENTION_INT8_INL_H_
#else
#define VITRAIL_ATTENTION_INT8_INL_H_
#endif

#include "kernels/cpu/attention_scores-inl.h"
#include "kernels/cpu/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

using IntTag = hn::RebindToSigned<FloatTag>;
using Ints = hn::Vec<IntTag>;

inline constexpr int64_t kUnitBytes = 4;
// The tile: with 32 registers 8 rows by 3 vectors; with 16 4 by 2, since widening takes some.
inline constexpr int kByteRows = kAttentionRows == 8 ? 8 : 4;

inline int64_t Units(int64_t values) {
  return (values + kUnitBytes - 1) / kUnitBytes;
}
// Rows of whole tiles.
inline int64_t TileRows(int64_t rows) {
  return RoundUp(rows, 8);
}

// K and V of one head.
struct Int8Head {
  uint8_t* keys;     // [TileRows(keys), units(d)], q + 128
  float* key_scale;  // [TileRows(keys)]
  float* hidden;     // [TileRows(keys)]: 0, and -inf for a row that is no key
  int32_t* values;   // [Units(keys), RoundUp(d, kLanes)]
  float* value_scale;
  float* value_mean;  // [RoundUp(d, kLanes)]
  float* key_mean;    // likewise, while it is packed

  // Returns the floats used; base may be null to measure.
  int64_t carve(const AttentionShape& s, float* base) {
    Carver memory{base};
    const int64_t rows = TileRows(s.keys), width = RoundUp(s.head_dim, kLanes);
    memory.take(keys, rows * Units(s.head_dim) + kLanes);  // a row is written in whole vectors
    memory.take(key_scale, rows);
    memory.take(hidden, rows);
    memory.take(values, Units(s.keys) * width);
    memory.take(value_scale, width);
    memory.take(value_mean, width);
    memory.take(key_mean, width);
    return memory.used;
  }
};

// sum[r, c] = start(c) + the sum over units of A[r, unit] * b[unit, c].
struct ByteTile {
  int64_t depth = 0;           // units
  const uint8_t* a = nullptr;  // element (r, unit) at r * a_row + unit * a_step bytes
  int64_t a_row = 0, a_step = 0;
  const int32_t* b = nullptr;
  int64_t b_row = 0;
};
template <class Dot, int kVectors, class Start, class Finish>
HWY_INLINE void ComputeByteTile(const ByteTile& tile, const Start& start, const Finish& finish) {
  const IntTag di;
  Ints sum[kByteRows][kVectors];
  HWY_UNROLL(3)
  for (int v = 0; v < kVectors; ++v) {
    const Ints first = start(v);
    HWY_UNROLL(8)
    for (int r = 0; r < kByteRows; ++r) sum[r][v] = first;
  }
  const uint8_t* a = tile.a;
  const int32_t* b = tile.b;
  const int64_t a_row = tile.a_row, a_step = tile.a_step, b_row = tile.b_row;
  for (int64_t k = tile.depth; k > 0; --k, a += a_step, b += b_row) {
    Ints right[kVectors];
    HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v) right[v] = hn::LoadU(di, b + v * kLanes);
    HWY_UNROLL(8)
    for (int r = 0; r < kByteRows; ++r) {
      int32_t unit;
      hwy::CopyBytes<sizeof(unit)>(a + r * a_row, &unit);
      const Ints left = hn::Set(di, unit);
      HWY_UNROLL(3)
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Dot::Add(sum[r][v], left, right[v]);
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kByteRows; ++r) HWY_UNROLL(3)
  for (int v = 0; v < kVectors; ++v) finish(r, v, sum[r][v]);
}

// Calls body(column, number of vectors as a constant) for as few strips as cover `columns`.
template <class Body>
HWY_INLINE void ForEachStrip(int64_t columns, const Body& body) {
  int64_t vectors = (columns + kLanes - 1) / kLanes, column = 0;
  // Four vectors are two and two, not three and one.
  for (int64_t left = (vectors + kAttentionVectors - 1) / kAttentionVectors; left > 0; --left) {
    const int64_t take = (vectors + left - 1) / left;
    if (take == 1)
      body(column, std::integral_constant<int, 1>());
    else if (take == 2 || kAttentionVectors == 2)
      body(column, std::integral_constant<int, 2>());
    else
      body(column, std::integral_constant<int, kAttentionVectors>());
    column += take * kLanes;
    vectors -= take;
  }
}

// The mean of each column, its rows added in order; zeros up to a whole vector.
inline void ColumnMeans(const RowView& x, float* mean) {
  const FloatTag d;
  constexpr int kAtOnce = 4;
  const auto share = hn::Set(d, 1.0f / static_cast<float>(x.count));
  for (int64_t i = 0; i < x.dim; i += kAtOnce * kLanes) {
    hn::Vec<FloatTag> sum[kAtOnce];
    for (auto& one : sum) one = hn::Zero(d);
    for (int64_t t = 0; t < x.count; ++t) {
      const float* row = x.data + t * x.stride + i;
      for (int v = 0; v < kAtOnce; ++v)
        if (i + v * kLanes < x.dim)
          sum[v] = hn::Add(sum[v], LoadPart(row + v * kLanes, x.dim - i - v * kLanes));
    }
    for (int v = 0; v < kAtOnce; ++v)
      if (i + v * kLanes < x.dim) hn::StoreU(hn::Mul(sum[v], share), d, mean + i + v * kLanes);
  }
}

// The bits of |x| as an integer: their maximum is that of |x|, and NaN beats all.
HWY_INLINE Ints MagnitudeBits(hn::Vec<FloatTag> x) {
  return hn::BitCast(IntTag(), hn::Abs(x));
}
// 127 / largest and largest / 127; 0 of what is (almost) nothing, NaN of what is not finite.
struct ByteScale {
  float inverse, scale;
  explicit ByteScale(float largest) : inverse(0), scale(std::numeric_limits<float>::quiet_NaN()) {
    if (!std::isfinite(largest)) return;
    const bool some = largest > 1e-36f;
    inverse = some ? 127.0f / largest : 0.0f;
    scale = some ? largest / 127.0f : 0.0f;
  }
};

// Adding this to a float of an integer's size rounds it to the nearest, and leaves it in the low
// bits of the sum.
inline constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23
inline constexpr uint32_t kRounderBits = 0x4b400000u;
// q of the row less `mean` (null: none), with `offset` added, in whole vectors; returns its scale.
template <class Byte>
float QuantizeHeadRow(const float* row, int64_t dim, const float* mean, int32_t offset, Byte* out) {
  const FloatTag d;
  const IntTag di;
  const hn::Rebind<Byte, FloatTag> bytes;
  const auto value = [&](int64_t i) HWY_ATTR {
    const auto x = LoadPart(row + i, dim - i);
    return mean == nullptr ? x : hn::Sub(x, hn::LoadU(d, mean + i));
  };
  Ints largest = hn::Zero(di);
  for (int64_t i = 0; i < dim; i += kLanes) largest = hn::Max(largest, MagnitudeBits(value(i)));
  const auto all = hn::BitCast(d, hn::MaxOfLanes(di, largest));
  const ByteScale scale(hn::GetLane(all));
  const auto inverse = hn::Set(d, scale.inverse);
  const auto rounder = hn::Set(d, kRounder);
  const auto shift = hn::Set(di, offset - static_cast<int32_t>(kRounderBits));
  for (int64_t i = 0; i < dim; i += kLanes) {
    const auto q = hn::BitCast(di, hn::Add(hn::Mul(value(i), inverse), rounder));
    hn::StoreU(hn::DemoteTo(bytes, hn::Add(q, shift)), bytes, out + i);
  }
  return scale.scale;
}

// Keys less their mean, which moves all scores of a query alike: softmax does not see it, and what
// is left is smaller (SageAttention, Zhang et al. 2025, section 4.2).
inline void PackKeysInt8(const RowView& x, const Int8Head& head) {
  const int64_t row_bytes = Units(x.dim) * kUnitBytes;
  ColumnMeans(x, head.key_mean);
  for (int64_t t = 0; t < x.count; ++t) {
    head.key_scale[t] = QuantizeHeadRow(x.data + t * x.stride, x.dim, head.key_mean, 128,
                                        head.keys + t * row_bytes);
    head.hidden[t] = 0;
  }
  for (int64_t t = x.count; t < TileRows(x.count); ++t) {
    std::fill_n(head.keys + t * row_bytes, row_bytes, uint8_t{0});
    head.key_scale[t] = 0;
    head.hidden[t] = -std::numeric_limits<float>::infinity();
  }
}

// Four sums of this kind, of 0 to 255, become the bytes of a unit, the first one low.
HWY_INLINE Ints PackFour(hn::Vec<FloatTag> a, hn::Vec<FloatTag> b, hn::Vec<FloatTag> c,
                         hn::Vec<FloatTag> e) {
  const hn::RebindToUnsigned<FloatTag> du;
  const auto low = hn::Add(hn::BitCast(du, a), hn::ShiftLeft<8>(hn::BitCast(du, b)));
  const auto high =
      hn::Add(hn::ShiftLeft<16>(hn::BitCast(du, c)), hn::ShiftLeft<24>(hn::BitCast(du, e)));
  constexpr uint32_t kAll =
      kRounderBits + (kRounderBits << 8) + (kRounderBits << 16) + (kRounderBits << 24);
  return hn::BitCast(IntTag(), hn::Sub(hn::Add(low, high), hn::Set(du, kAll)));
}

// Values less their mean, by channel: what P's rounding loses of its sum then counts as the mean.
inline void PackValuesInt8(const RowView& x, const Int8Head& head) {
  const FloatTag d;
  const IntTag di;
  const int64_t width = RoundUp(x.dim, kLanes);
  ColumnMeans(x, head.value_mean);
  const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  for (int64_t i = 0; i < x.dim; i += kLanes) {
    const auto mean = hn::LoadU(d, head.value_mean + i);
    const auto value = [&](int64_t t) HWY_ATTR {
      return hn::Sub(LoadPart(x.data + t * x.stride + i, x.dim - i), mean);
    };
    Ints bits = hn::Zero(di);
    for (int64_t t = 0; t < x.count; ++t) bits = hn::Max(bits, MagnitudeBits(value(t)));
    const auto largest = hn::BitCast(d, bits);
    const auto finite = hn::Lt(largest, infinity);
    const auto some = hn::And(finite, hn::Gt(largest, hn::Set(d, 1e-36f)));
    const auto inverse = hn::IfThenElseZero(some, hn::Div(hn::Set(d, 127.0f), largest));
    const auto scale = hn::Mul(largest, hn::Set(d, 1.0f / 127.0f));
    hn::StoreU(hn::IfThenElse(finite, scale, hn::Sub(largest, largest)), d, head.value_scale + i);
    // With 128 added, so that all are positive; taken back by turning the highest bit.
    const auto rounder = hn::Set(d, kRounder + 128.0f);
    const auto byte = [&](int64_t t) HWY_ATTR {
      return t < x.count ? hn::Add(hn::Mul(value(t), inverse), rounder) : rounder;
    };
    for (int64_t t = 0; t < x.count; t += kUnitBytes) {
      const Ints unit = PackFour(byte(t), byte(t + 1), byte(t + 2), byte(t + 3));
      const Ints highest = hn::Set(di, static_cast<int32_t>(0x80808080u));
      hn::StoreU(hn::Xor(unit, highest), di, head.values + t / kUnitBytes * width + i);
    }
  }
}

// At most kQueryPanel queries as columns.
struct Int8Queries {
  int32_t* units;  // [units(d), kQueryPanel], zeros in the lanes beyond
  int32_t* start;  // [kQueryPanel]: takes back the 128 that the keys have too much
  float* scale;    // [kQueryPanel]

  int64_t carve(int64_t dim, float* base) {
    Carver memory{base};
    memory.take(units, Units(dim) * kQueryPanel);
    memory.take(start, kQueryPanel);
    memory.take(scale, kQueryPanel);
    return memory.used;
  }
};
// Floats of scratch that packing queries takes.
inline int64_t QueryScratchFloats(int64_t dim) {
  return kQueryPanel * Units(dim) + kLanes;
}
template <class Dot>
void PackQueriesInt8(const RowView& x, float* scratch, const Int8Queries& out) {
  const IntTag di;
  const int64_t units = Units(x.dim);
  auto* bytes = reinterpret_cast<int8_t*>(scratch);
  for (int64_t t = 0; t < x.count; ++t)
    out.scale[t] =
        QuantizeHeadRow(x.data + t * x.stride, x.dim, nullptr, 0, bytes + t * units * kUnitBytes);
  std::fill(out.scale + x.count, out.scale + kQueryPanel, 0.0f);
  transpose(scratch, units, x.count, units, reinterpret_cast<float*>(out.units), kQueryPanel);
  for (int64_t u = 0; u < units && x.count < kQueryPanel; ++u)
    std::fill(out.units + u * kQueryPanel + x.count, out.units + (u + 1) * kQueryPanel, 0);
  const Ints offset = hn::Set(di, static_cast<int32_t>(0x80808080u));
  for (int64_t c = 0; c < kQueryPanel; c += kLanes) {
    Ints sum = hn::Zero(di);
    for (int64_t u = 0; u < units; ++u)
      sum = Dot::Add(sum, offset, hn::LoadU(di, out.units + u * kQueryPanel + c));
    hn::StoreU(hn::Sub(hn::Zero(di), sum), di, out.start + c);
  }
}

// scores[j, c] = scale of key j * (q of key j) (q of query c), of keys [key, key + keys), rounded
// up to whole tiles, with -inf in rows that are no keys; maximum is raised by them unless null.
template <class Dot>
void ScoresInt8(const Int8Head& head, const Int8Queries& queries, int64_t dim, int64_t key,
                int64_t keys, int64_t columns, float* scores, float* maximum) {
  const FloatTag d;
  const int64_t units = Units(dim), row_bytes = units * kUnitBytes;
  ForEachStrip(columns, [&](int64_t column, auto count) HWY_ATTR {
    constexpr int kVectors = decltype(count)::value;
    hn::Vec<FloatTag> highest[kVectors];
    HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v)
      highest[v] = maximum == nullptr ? hn::Zero(d) : hn::LoadU(d, maximum + column + v * kLanes);
    for (int64_t row = 0; row < keys; row += kByteRows) {
      const float* scale = head.key_scale + key + row;
      const float* hidden = head.hidden + key + row;
      ComputeByteTile<Dot, kVectors>(
          {.depth = units,
           .a = head.keys + (key + row) * row_bytes,
           .a_row = row_bytes,
           .a_step = kUnitBytes,
           .b = queries.units + column,
           .b_row = kQueryPanel},
          [&](int v) HWY_ATTR { return hn::LoadU(IntTag(), queries.start + column + v * kLanes); },
          [&](int r, int v, Ints sum) HWY_ATTR {
            const auto score =
                hn::MulAdd(hn::ConvertTo(d, sum), hn::Set(d, scale[r]), hn::Set(d, hidden[r]));
            highest[v] = hn::Max(score, highest[v]);
            hn::StoreU(score, d, scores + (row + r) * kQueryPanel + column + v * kLanes);
          });
    }
    HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v)
      if (maximum != nullptr) hn::StoreU(highest[v], d, maximum + column + v * kLanes);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
