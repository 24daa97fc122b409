// VPDPBUSD of AVX512-VNNI: u8 x s8 in groups of four, 16 columns at once.
#include "kernels/cpu/dot_tiles.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>
#include <utility>

#include "hwy/base.h"

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vnni")
namespace vitrail::kernels {
namespace {

struct Ops {
  using Left = uint8_t;
  using Right = int8_t;
  using Sum = int32_t;
  using Vector = __m512i;
  using Accumulator = __m512i;
  static constexpr int kGroup = 4, kLanes = 16, kRows = 8, kVectors = 3;

  static Accumulator zero() { return _mm512_setzero_si512(); }
  static Accumulator load(const int32_t* p) { return _mm512_loadu_si512(p); }
  static void store(int32_t* p, Accumulator x) { _mm512_storeu_si512(p, x); }
  static Vector load_panel(const int8_t* p) { return _mm512_load_si512(p); }
  static Vector spread(const uint8_t* p) {
    int32_t four;
    std::memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
  }
  static Accumulator dot(Accumulator sum, Vector left, Vector right) {
    return _mm512_dpbusd_epi32(sum, left, right);
  }
};

#include "kernels/cpu/dot_tile-inl.h"

}  // namespace

Int8Tile int8_tile_avx512_vnni(int vectors, int rows) {
  return find_tile(vectors, rows);
}

}  // namespace vitrail::kernels
HWY_POP_ATTRIBUTES
#endif
