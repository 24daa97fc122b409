// The register tile of every f32 product: kRows rows of A against one packed panel of B.
//
// Per-target code: included once for each instruction set (Highway's foreach_target).
//
// How the tile got its size: kRows * kVectors accumulators, kVectors of B and one broadcast of A
// must fit the registers, and FMAs must outnumber loads. With 16 registers (AVX2, SSE4): 6 x 2, 12
// FMAs for 8 loads. With 32 (AVX-512, NEON): 8 x 3, 24 FMAs for 11 loads; taller tiles would need
// more row pointers than there are integer registers, since A is read in place.
#include <algorithm>
#include <array>
#include <cstdint>

#include "hwy/highway.h"

#if defined(VITRAIL_GEMM_MICRO_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_GEMM_MICRO_INL_H_
#undef VITRAIL_GEMM_MICRO_INL_H_
#else
#define VITRAIL_GEMM_MICRO_INL_H_
#endif

#include "kernels/cpu/transpose.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
inline constexpr int kTileRows = 8;
inline constexpr int kTileVectors = 3;
#else
inline constexpr int kTileRows = 6;
inline constexpr int kTileVectors = 2;
#endif
using FloatTag = hn::ScalableTag<float>;
inline constexpr int kLanes = static_cast<int>(hn::MaxLanes(FloatTag()));
inline constexpr int kPanelWidth = kTileVectors * kLanes;
inline constexpr int64_t kLineBytes = 64;

// tile[r * tile_stride + c] (+)= sum over k of a[r * a_stride + k] * panel[k * kPanelWidth + c], for
// the first kVectors vectors of the panel. `accumulate` continues the sum that the tile holds: the
// chain of additions over k is the same however k is cut into blocks. `ahead` is memory that will
// be wanted soon: a line of it is fetched at every fourth k.
template <int kRows, int kVectors>
HWY_NOINLINE void MicroTile(int64_t k_size, const float* HWY_RESTRICT a, int64_t a_stride,
                            const float* HWY_RESTRICT panel, float* HWY_RESTRICT tile,
                            int64_t tile_stride, bool accumulate, const char* ahead) {
  const FloatTag d;
  using V = hn::Vec<FloatTag>;
  V sum[kRows][kVectors];
  if (accumulate) {
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = hn::LoadU(d, tile + r * tile_stride + v * kLanes);
  } else {
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  HWY_UNROLL(4)
  for (int64_t k = 0; k < k_size; ++k) {
    if (k % 4 == 0) __builtin_prefetch(ahead + k * (kLineBytes / 4), 0, 2);  // into L2
    V b[kVectors];
    HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v) b[v] = hn::Load(d, panel + v * kLanes);
    panel += kPanelWidth;
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const V factor = hn::Set(d, a[r * a_stride + k]);
      HWY_UNROLL(3)
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(factor, b[v], sum[r][v]);
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(3)
  for (int v = 0; v < kVectors; ++v)
    hn::StoreU(sum[r][v], d, tile + r * tile_stride + v * kLanes);
}

using MicroTileFunction = void (*)(int64_t, const float*, int64_t, const float*, float*, int64_t,
                                   bool, const char*);

// kMicroTiles[vectors - 1][rows - 1]: the last tile of a block is shorter, the last panel may be
// narrower.
template <int kVectors>
inline constexpr std::array<MicroTileFunction, kTileRows> kTilesOfVectors = {
    MicroTile<1, kVectors>, MicroTile<2, kVectors>, MicroTile<3, kVectors>,
    MicroTile<4, kVectors>, MicroTile<5, kVectors>, MicroTile<6, kVectors>,
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
    MicroTile<7, kVectors>, MicroTile<8, kVectors>,
#endif
};
inline constexpr std::array<std::array<MicroTileFunction, kTileRows>, kTileVectors> kMicroTiles = {
    kTilesOfVectors<1>, kTilesOfVectors<2>,
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
    kTilesOfVectors<3>,
#endif
};

// Vectors that `columns` more columns of a panel need.
inline int VectorsFor(int64_t columns) {
  return columns >= kPanelWidth ? kTileVectors : static_cast<int>((columns + kLanes - 1) / kLanes);
}

// Writes columns [0, columns) of k_size rows of B into one panel, zero-padded to kPanelWidth:
// panel[k * kPanelWidth + c] = b[k * row_stride + c * column_stride].
inline void PackPanel(const float* HWY_RESTRICT b, int64_t k_size, int64_t columns,
                      int64_t row_stride, int64_t column_stride, float* HWY_RESTRICT panel) {
  const FloatTag d;
  if (column_stride == 1 && columns == kPanelWidth) {
    for (int64_t k = 0; k < k_size; ++k)
      for (int v = 0; v < kTileVectors; ++v)
        hn::Store(hn::LoadU(d, b + k * row_stride + v * kLanes), d,
                  panel + k * kPanelWidth + v * kLanes);
    return;
  }
  if (row_stride == 1) {
    transpose(b, column_stride, columns, k_size, panel, kPanelWidth);
  } else {
    for (int64_t k = 0; k < k_size; ++k) {
      float* to = panel + k * kPanelWidth;
      const float* from = b + k * row_stride;
      if (column_stride == 1)
        std::copy_n(from, columns, to);
      else
        for (int64_t c = 0; c < columns; ++c) to[c] = from[c * column_stride];
    }
  }
  for (int64_t k = 0; k < k_size; ++k)
    for (int64_t c = columns; c < kPanelWidth; ++c) panel[k * kPanelWidth + c] = 0.0f;
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
