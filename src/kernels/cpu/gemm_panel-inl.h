// Panels of B in f32, as the f32 tile reads them.
//
// Per-target code: included once for each instruction set (Highway's foreach_target).
#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"

#if defined(VITRAIL_GEMM_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_GEMM_PANEL_INL_H_
#undef VITRAIL_GEMM_PANEL_INL_H_
#else
#define VITRAIL_GEMM_PANEL_INL_H_
#endif

#include "kernels/cpu/gemm_tile-inl.h"
#include "kernels/cpu/transpose.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

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
