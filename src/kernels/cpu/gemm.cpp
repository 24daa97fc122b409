#include "kernels/gemm.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/gemm_driver-inl.h"
#include "kernels/cpu/transpose.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

int64_t PanelWidth() {
  return kPanelWidth;
}

void PackPanels(Queue& queue, const Matrix& b, float* panels) {
  const int64_t count = (b.columns + kPanelWidth - 1) / kPanelWidth;
  queue.pool().parallel_for(count, [&](int64_t p, int) {
    const int64_t first = p * kPanelWidth;
    PackPanel(b.data + first * b.column_stride, b.rows,
              std::min<int64_t>(kPanelWidth, b.columns - first), b.row_stride, b.column_stride,
              panels + p * kPanelWidth * b.rows);
  });
}

// f32: A is read in place and panels as they are packed.
struct F32 : FloatSums {
  using Step = F32Step;
  static constexpr int64_t kDepth = kFloatDepth;
  static constexpr int64_t kPanelBytes = kPanelWidth * int64_t{sizeof(float)};
  static constexpr bool kCoarse = false;
  struct Scratch {};

  static const float* unfold(const char* block, int64_t, Scratch&) {
    return reinterpret_cast<const float*>(block);
  }
};

void Multiply(Queue& queue, const Matrix& a, const float* panels, int64_t columns,
              const GemmOutput& c) {
  MultiplyPanels(queue, F32{}, a.data, a.row_stride, a.rows, a.columns, panels, columns, c);
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {
namespace {

HWY_EXPORT(PanelWidth);
HWY_EXPORT(PackPanels);
HWY_EXPORT(Multiply);

int64_t panel_floats(int64_t k, int64_t n, int64_t width) {
  return (n + width - 1) / width * width * k;
}

int64_t aligned(int64_t bytes) {
  return (bytes + static_cast<int64_t>(kAlignment) - 1) / static_cast<int64_t>(kAlignment) *
         static_cast<int64_t>(kAlignment);
}

// Row-major copy of a matrix whose columns are not contiguous.
void copy_row_major(Queue& queue, const Matrix& a, float* out) {
  constexpr int64_t kRows = 32;
  queue.pool().parallel_ranges(a.rows, kRows, [&](int64_t begin, int64_t end) {
    if (a.row_stride == 1)
      return transpose(a.data + begin, a.column_stride, a.columns, end - begin,
                       out + begin * a.columns, a.columns);
    for (int64_t r = begin; r < end; ++r)
      for (int64_t k = 0; k < a.columns; ++k)
        out[r * a.columns + k] = a.data[r * a.row_stride + k * a.column_stride];
  });
}

}  // namespace

PackedMatrix pack(Queue& queue, const Matrix& b) {
  const int64_t width = VITRAIL_DISPATCH(PanelWidth)();
  PackedMatrix packed{.panels = Tensor::empty({panel_floats(b.rows, b.columns, width)}),
                      .rows = b.rows,
                      .columns = b.columns,
                      .panel_width = width};
  VITRAIL_DISPATCH(PackPanels)(queue, b, packed.panels.f32());
  return packed;
}

void gemm(Queue& queue, const Matrix& a, const PackedMatrix& b, const GemmOutput& c) {
  assert(a.columns == b.rows && a.column_stride == 1);
  assert(b.panel_width == VITRAIL_DISPATCH(PanelWidth)());
  if (a.rows == 0 || b.columns == 0) return;
  VITRAIL_DISPATCH(Multiply)(queue, a, b.panels.f32(), b.columns, c);
}

int64_t gemm_workspace(const Matrix& a, const Matrix& b) {
  const int64_t width = VITRAIL_DISPATCH(PanelWidth)();
  const int64_t panels = aligned(panel_floats(b.rows, b.columns, width) * int64_t{sizeof(float)});
  const int64_t copy = a.column_stride == 1 ? 0 : a.rows * a.columns * int64_t{sizeof(float)};
  return panels + copy;
}

void gemm(Queue& queue, const Matrix& a, const Matrix& b, const GemmOutput& c, void* workspace) {
  assert(a.columns == b.rows);
  if (a.rows == 0 || b.columns == 0) return;
  const int64_t width = VITRAIL_DISPATCH(PanelWidth)();
  auto* panels = static_cast<float*>(workspace);
  VITRAIL_DISPATCH(PackPanels)(queue, b, panels);
  Matrix left = a;
  if (a.column_stride != 1) {
    float* copy =
        panels + aligned(panel_floats(b.rows, b.columns, width) * int64_t{sizeof(float)}) /
                     int64_t{sizeof(float)};
    copy_row_major(queue, a, copy);
    left = Matrix::row_major(copy, a.rows, a.columns);
  }
  VITRAIL_DISPATCH(Multiply)(queue, left, panels, b.columns, c);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
