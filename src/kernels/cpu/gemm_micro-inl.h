// Panels of B in f32, and the f32 tiles as a table, for kernels that multiply small blocks by
// themselves (attention).
//
// Per-target code: included once for each instruction set (Highway's foreach_target).
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

#include "kernels/cpu/gemm_tile-inl.h"
#include "kernels/cpu/transpose.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// tile[r * tile_stride + c] (+)= sum over k of a[r * a_stride + k] * panel[k * kPanelWidth + c],
// for the first kVectors vectors of the panel; as TileWork says.
template <int kRows, int kVectors>
void MicroTile(int64_t k_size, const float* a, int64_t a_stride, const float* panel, float* tile,
               int64_t tile_stride, bool accumulate, const char* ahead) {
  SumTile<F32Step, kRows, kVectors>(
      {k_size, a, a_stride, panel, tile, tile_stride, accumulate, ahead});
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
    kTilesOfVectors<1>,
    kTilesOfVectors<2>,
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
    kTilesOfVectors<3>,
#endif
};

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
