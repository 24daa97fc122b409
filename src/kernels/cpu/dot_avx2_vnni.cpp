// VPDPBUSD of AVX-VNNI: u8 x s8 in groups of four, 8 columns at once.
#include "kernels/cpu/dot_tiles.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>
#include <utility>

#include "hwy/base.h"

HWY_PUSH_ATTRIBUTES("avx2,avxvnni")
namespace vitrail::kernels {
namespace {

struct Ops {
  using Left = uint8_t;
  using Right = int8_t;
  using Sum = int32_t;
  using Vector = __m256i;
  using Accumulator = __m256i;
  static constexpr int kGroup = 4, kLanes = 8, kRows = 6, kVectors = 2;

  static Accumulator zero() { return _mm256_setzero_si256(); }
  static Accumulator load(const int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void store(int32_t* p, Accumulator x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x);
  }
  static Vector load_panel(const int8_t* p) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
  }
  static Vector spread(const uint8_t* p) {
    int32_t four;
    std::memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
  }
  static Accumulator dot(Accumulator sum, Vector left, Vector right) {
    return _mm256_dpbusd_avx_epi32(sum, left, right);
  }
};

#include "kernels/cpu/dot_tile-inl.h"

}  // namespace

Int8Tile int8_tile_avx2_vnni(int vectors, int rows) {
  return find_tile(vectors, rows);
}

}  // namespace vitrail::kernels
HWY_POP_ATTRIBUTES
#endif
