// VDPBF16PS of AVX512-BF16: bf16 in pairs, 16 columns at once.
#include "kernels/cpu/dot_tiles.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>
#include <utility>

#include "hwy/base.h"

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512bf16")
namespace vitrail::kernels {
namespace {

struct Ops {
  using Left = uint16_t;
  using Right = uint16_t;
  using Sum = float;
  using Vector = __m512i;
  using Accumulator = __m512;
  static constexpr int kGroup = 2, kLanes = 16, kRows = 8, kVectors = 3;

  static Accumulator zero() { return _mm512_setzero_ps(); }
  static Accumulator load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Accumulator x) { _mm512_storeu_ps(p, x); }
  static Vector load_panel(const uint16_t* p) { return _mm512_load_si512(p); }
  static Vector spread(const uint16_t* p) {
    int32_t two;
    std::memcpy(&two, p, sizeof two);
    return _mm512_set1_epi32(two);
  }
  static Accumulator dot(Accumulator sum, Vector left, Vector right) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(left),
                            reinterpret_cast<__m512bh>(right));
  }
};

#include "kernels/cpu/dot_tile-inl.h"

}  // namespace

Bf16Tile bf16_tile_avx512(int vectors, int rows) {
  return find_tile(vectors, rows);
}

}  // namespace vitrail::kernels
HWY_POP_ATTRIBUTES
#endif
