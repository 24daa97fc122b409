// attention_tile.h by AVX512-BF16: a unit is two bf16, their two products go into one float sum.
#include "kernels/cpu/attention_tile.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <utility>

#include "hwy/base.h"

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512bf16")
namespace vitrail::kernels {
namespace {

struct Wide {
  using Vector = __m512;
  static constexpr int kLanes = 16;
  static Vector zero() { return _mm512_setzero_ps(); }
  static Vector load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Vector x) { _mm512_storeu_ps(p, x); }
  static Vector spread(const float* p) { return _mm512_set1_ps(*p); }
  // _mm512_max_ps makes GCC 12 warn of its own header.
  static Vector max(Vector x, Vector y) { return _mm512_mask_max_ps(y, 0xffff, x, y); }
  static Vector multiply_add(Vector left, Vector right, Vector sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(left),
                            reinterpret_cast<__m512bh>(right));
  }
};

struct Half {
  using Vector = __m256;
  static constexpr int kLanes = 8;
  static Vector zero() { return _mm256_setzero_ps(); }
  static Vector load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Vector x) { _mm256_storeu_ps(p, x); }
  static Vector spread(const float* p) { return _mm256_set1_ps(*p); }
  static Vector max(Vector x, Vector y) { return _mm256_max_ps(x, y); }
  static Vector multiply_add(Vector left, Vector right, Vector sum) {
    return _mm256_dpbf16_ps(sum, reinterpret_cast<__m256bh>(left),
                            reinterpret_cast<__m256bh>(right));
  }
};

#include "kernels/cpu/attention_tile-inl.h"

}  // namespace

AttentionTile attention_tile_avx512_bf16(const AttentionTileShape& shape) {
  constexpr int kRows = 8;
  switch (shape.vectors) {
    case 0:
      return find_attention_tile<Half, kRows, 1>(shape);
    case 1:
      return find_attention_tile<Wide, kRows, 1>(shape);
    case 2:
      return find_attention_tile<Wide, kRows, 2>(shape);
    default:
      return find_attention_tile<Wide, kRows, 3>(shape);
  }
}

namespace {

// Up to 16 values of a row, zeros beyond.
inline __m512 load_part(const float* x, int64_t count) {
  const auto mask = static_cast<__mmask16>(count >= 16 ? 0xffff : (1 << count) - 1);
  return _mm512_maskz_loadu_ps(mask, x);
}

}  // namespace

void pack_rows_avx512_bf16(const RowView& x, float* out) {
  for (int64_t t = 0; t < x.count; ++t) {
    const float* row = x.data + t * x.stride;
    int64_t i = 0;
    for (; i + 16 < x.dim; i += 32, out += 16) {
      const __m512bh both =
          _mm512_cvtne2ps_pbh(load_part(row + i + 16, x.dim - i - 16), _mm512_loadu_ps(row + i));
      _mm512_storeu_si512(out, reinterpret_cast<__m512i>(both));
    }
    if (i >= x.dim) continue;
    const __m256bh last = _mm512_cvtneps_pbh(load_part(row + i, x.dim - i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), reinterpret_cast<__m256i>(last));
    out += 8;
  }
}

void pack_row_pairs_avx512_bf16(const RowView& x, float* out) {
  // Word i of the one row, then word i of the other.
  const __m512i order = _mm512_add_epi32(
      _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                         _mm512_set1_epi32(0x00010001)),
      _mm512_set1_epi32(0x00100000));
  for (int64_t t = 0; t < x.count; t += 2) {
    const float* row = x.data + t * x.stride;
    for (int64_t i = 0; i < x.dim; i += 16, out += 16) {
      const __m512 low = load_part(row + i, x.dim - i);
      const __m512 high = load_part(row + x.stride + i, t + 1 < x.count ? x.dim - i : 0);
      const __m512bh both = _mm512_cvtne2ps_pbh(high, low);
      _mm512_storeu_si512(out, _mm512_permutexvar_epi16(order, reinterpret_cast<__m512i>(both)));
    }
  }
}

}  // namespace vitrail::kernels
HWY_POP_ATTRIBUTES
#endif
