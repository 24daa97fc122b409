// What all attention kernels share: arithmetic, packing of heads, and products of blocks.
//
// Scores of a block lie transposed, [keys, kQueryPanel]: a lane is a query. Softmax then needs no
// sum across lanes, keys need no padding, and K is read as the fused projection wrote it. Outputs
// have features in their lanes, so P^T is their A, read along its rows or its columns; nothing of
// the size of the scores is ever transposed.
#include <algorithm>
#include <array>
#include <utility>

#include "hwy/highway.h"

#if defined(VITRAIL_ATTENTION_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_ATTENTION_BLOCK_INL_H_
#undef VITRAIL_ATTENTION_BLOCK_INL_H_
#else
#define VITRAIL_ATTENTION_BLOCK_INL_H_
#endif

#include "kernels/attention.h"
#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/round_bf16-inl.h"
#include "kernels/cpu/transpose.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#include "kernels/cpu/attention_tile-inl.h"

using HalfTag = hn::Half<FloatTag>;

// The tile fills the registers (gemm_tile-inl.h): with 32 of them 8 x 3, with 16 6 x 2. Where a
// vector is processed in halves (Zen 4), a short last vector costs half.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
inline constexpr int kAttentionRows = 8;
inline constexpr int kAttentionVectors = 3;
#else
inline constexpr int kAttentionRows = 6;
inline constexpr int kAttentionVectors = 2;
#endif
inline constexpr bool kHasHalf = HWY_TARGET == HWY_AVX3;

// 48 queries are three vectors with AVX-512. A block of scores (128 keys: 24 KB) stays in L1 with
// the 6 KB of V that a tile reads.
inline constexpr int64_t kQueryPanel = 48;
inline constexpr int64_t kKeyBlock = 128;
static_assert(kQueryPanel % kLanes == 0);

inline int64_t RoundUp(int64_t value, int64_t step) {
  return (value + step - 1) / step * step;
}

// Hands out pieces of memory, each from a cache line on; with no base it measures what they need.
struct Carver {
  float* base;
  int64_t used = 0;  // floats

  template <class T>
  void take(T*& field, int64_t count) {  // of four bytes each
    field = base == nullptr ? nullptr : reinterpret_cast<T*>(base + used);
    used += RoundUp(count, 16);
  }
};

// Keys are cut into blocks of equal size, a multiple of 8 that their number alone fixes.
inline int64_t KeyBlock(int64_t keys) {
  const int64_t blocks = std::max<int64_t>(1, (keys + kKeyBlock - 1) / kKeyBlock);
  return RoundUp((keys + blocks - 1) / blocks, 8);
}

template <class D>
struct FloatOps {
  using Vector = hn::Vec<D>;
  static constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
  static HWY_INLINE Vector zero() { return hn::Zero(D()); }
  static HWY_INLINE Vector load(const float* p) { return hn::LoadU(D(), p); }
  static HWY_INLINE void store(float* p, Vector x) { hn::StoreU(x, D(), p); }
  static HWY_INLINE Vector spread(const float* p) { return hn::Set(D(), *p); }
  static HWY_INLINE Vector max(Vector x, Vector y) { return hn::Max(x, y); }
  static HWY_INLINE Vector multiply_add(Vector left, Vector right, Vector sum) {
    return hn::MulAdd(left, right, sum);
  }
};

inline AttentionTile FloatTile(const AttentionTileShape& shape) {
  switch (shape.vectors) {
    case 1:
      return find_attention_tile<FloatOps<FloatTag>, kAttentionRows, 1>(shape);
    case 2:
      return find_attention_tile<FloatOps<FloatTag>, kAttentionRows, 2>(shape);
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
    case 3:
      return find_attention_tile<FloatOps<FloatTag>, kAttentionRows, 3>(shape);
#endif
  }
  if constexpr (kHasHalf)
    return find_attention_tile<FloatOps<HalfTag>, kAttentionRows, 1>(shape);
  else
    return nullptr;
}

// How operands are held (attention_tile.h: in units) and multiplied.
enum class Packing { floats, pairs };  // f32; bf16 two by two
struct Arithmetic {
  Packing packing = Packing::floats;
  AttentionTile (*tile)(const AttentionTileShape&) = FloatTile;

  int64_t group() const { return packing == Packing::pairs ? 2 : 1; }
  int64_t units(int64_t values) const { return (values + group() - 1) / group(); }
  // Units of a packed row of `dim` values: whole vectors, zeros beyond dim.
  int64_t row_units(int64_t dim) const { return RoundUp(dim, kLanes) / group(); }
};

// bf16 without a dot product of its own is f32: nothing here lies in memory long enough for halves
// to save anything.
inline Arithmetic ArithmeticOf([[maybe_unused]] Precision precision) {
#if HWY_TARGET == HWY_AVX3
  if (precision != Precision::f32 && dot_products().bf16)
    return {.packing = Packing::pairs, .tile = attention_tile_avx512_bf16};
#endif
  return {};
}

template <class Body>
HWY_INLINE void WithPacking(Packing packing, Body&& body) {
  if (packing == Packing::pairs)
    body(std::integral_constant<Packing, Packing::pairs>{});
  else
    body(std::integral_constant<Packing, Packing::floats>{});
}

// body(D(), column) over `columns` lanes: whole vectors, and a half where it is enough.
template <class Body>
HWY_INLINE void ForEachVector(int64_t columns, Body&& body) {
  int64_t column = 0;
  for (; column + (kHasHalf ? kLanes / 2 : 0) < columns; column += kLanes) body(FloatTag(), column);
  if (column < columns) body(HalfTag(), column);
}

inline float* Head(const HeadView& view, int64_t b, int64_t h) {
  return view.data + b * view.stride[0] + h * view.stride[1];
}

// Units of two bf16, from the upper halves of rounded bits; `low` comes first in the sum.
template <class D, class V>
HWY_INLINE hn::Vec<D> Pair(D d, V low, V high) {
  const auto upper = hn::And(high, hn::Set(hn::RebindToUnsigned<D>(), 0xffff0000u));
  return hn::BitCast(d, hn::Or(hn::ShiftRight<16>(low), upper));
}
// Neighbouring lanes become one unit: half as many.
template <class D>
HWY_INLINE void StoreNeighbours(D, hn::Vec<hn::RebindToUnsigned<D>> bits, float* out) {
  const hn::Rebind<uint16_t, D> half;
  const auto words = hn::BitCast(hn::RebindToSigned<D>(), hn::ShiftRight<16>(bits));
  hn::StoreU(hn::DemoteTo(half, words), half, reinterpret_cast<uint16_t*>(out));
}

// Weights of softmax are never negative: adding half rounds to the nearest, ties up, in a third of
// the operations.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> WeightBits(D, hn::Vec<D> x) {
  const hn::RebindToUnsigned<D> du;
  return hn::Add(hn::BitCast(du, x), hn::Set(du, 0x8000u));
}
HWY_INLINE hn::Vec<FloatTag> LoadPart(const float* x, int64_t count) {
  const FloatTag d;
  if (count >= kLanes) return hn::LoadU(d, x);
  HWY_ALIGN float part[kLanes] = {};
  std::copy_n(x, count, part);
  return hn::Load(d, part);
}

HWY_INLINE void StorePart(hn::Vec<FloatTag> x, float* out, int64_t count) {
  const FloatTag d;
  if (count >= kLanes) return hn::StoreU(x, d, out);
  HWY_ALIGN float part[kLanes];
  hn::Store(x, d, part);
  std::copy_n(part, count, out);
}

// out = factor * x; the two may be the same.
inline void CopyScaled(const float* x, int64_t count, float factor, float* out) {
  const FloatTag d;
  const auto f = hn::Set(d, factor);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(hn::Mul(hn::LoadU(d, x + i), f), d, out + i);
  for (; i < count; ++i) out[i] = x[i] * factor;
}

// Units along a row: [count, row_units(dim)].
inline void PackRows([[maybe_unused]] const Arithmetic& arithmetic, const RowView& x, float* out) {
#if HWY_TARGET == HWY_AVX3
  if (arithmetic.packing == Packing::pairs) return pack_rows_avx512_bf16(x, out);
#endif
  for (int64_t t = 0; t < x.count; ++t)
    for (int64_t i = 0; i < x.dim; i += kLanes, out += kLanes)
      hn::StoreU(LoadPart(x.data + t * x.stride + i, x.dim - i), FloatTag(), out);
}

// Units along a column: [units(count), RoundUp(dim, kLanes)].
inline void PackRowPairs(const Arithmetic& arithmetic, const RowView& x, float* out) {
#if HWY_TARGET == HWY_AVX3
  if (arithmetic.packing == Packing::pairs) return pack_row_pairs_avx512_bf16(x, out);
#endif
  PackRows(arithmetic, x, out);
}

// The transpose of PackRows for at most kQueryPanel rows: [units(dim), kQueryPanel], zeros in the
// lanes beyond. `scratch` takes kQueryPanel packed rows.
inline void PackColumns(const Arithmetic& arithmetic, const RowView& x, float* scratch,
                        float* out) {
  const int64_t units = arithmetic.units(x.dim);
  if (arithmetic.packing == Packing::floats) {
    transpose(x.data, x.stride, x.count, units, out, kQueryPanel);
  } else {
    PackRows(arithmetic, x, scratch);
    transpose(scratch, arithmetic.row_units(x.dim), x.count, units, out, kQueryPanel);
  }
  for (int64_t u = 0; u < units && x.count < kQueryPanel; ++u)
    std::fill(out + u * kQueryPanel + x.count, out + (u + 1) * kQueryPanel, 0.0f);
}

// Brings rows of the next head into L2, a few for each tile of the present one: a row lies a page
// from the one before, where no prefetcher of a processor follows.
struct RowsAhead {
  std::array<RowView, 8> views;  // count 0: none
  int64_t rows_per_tile = 0;
  int64_t next = 0;

  HWY_INLINE void step() {
    constexpr int64_t kLineFloats = 16;
    for (int64_t end = next + rows_per_tile; next < end; ++next)
      for (const RowView& view : views)
        for (int64_t i = 0; i < view.dim && next < view.count; i += kLineFloats)
          __builtin_prefetch(view.data + next * view.stride + i, 0, 2);
  }
};
inline RowView RowsOf(const HeadView& view, int64_t b, int64_t h, int64_t count, int64_t dim) {
  return {Head(view, b, h), view.stride[2], count, dim};
}

// As many tiles as it takes; columns beyond `columns` are computed up to a (half) vector.
inline void Multiply(const Arithmetic& arithmetic, int64_t rows, int64_t columns,
                     const AttentionTileArgs& args, RowsAhead* ahead = nullptr) {
  AttentionTileArgs tile = args;
  AttentionTileShape shape{.adjacent = args.a_row == 1};
  const auto strip = [&](int64_t column, int vectors) {
    shape.vectors = vectors;
    shape.rows = kAttentionRows;
    AttentionTile run = arithmetic.tile(shape);
    tile.b = args.b + column;
    if (args.maximum != nullptr) tile.maximum = args.maximum + column;
    for (int64_t row = 0; row < rows; row += kAttentionRows) {
      if (rows - row < kAttentionRows) {
        shape.rows = static_cast<int>(rows - row);
        run = arithmetic.tile(shape);
      }
      tile.a = args.a + row * args.a_row;
      tile.c = args.c + row * args.c_row + column;
      if (ahead != nullptr) ahead->step();
      run(tile);
    }
  };
  const int64_t rest = columns % kLanes;
  const bool half = kHasHalf && rest > 0 && rest <= kLanes / 2;
  int64_t vectors = columns / kLanes + (rest > 0 && !half ? 1 : 0), column = 0;
  // Four vectors are two and two, not three and one.
  for (int64_t left = (vectors + kAttentionVectors - 1) / kAttentionVectors; left > 0; --left) {
    const int64_t take = (vectors + left - 1) / left;
    strip(column, static_cast<int>(take));
    column += take * kLanes;
    vectors -= take;
  }
  if (half) strip(column, 0);
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
