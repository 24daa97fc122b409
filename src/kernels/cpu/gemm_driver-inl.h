// How a product is cut into blocks, tiles and tasks, for every precision; and the epilogue.
//
// Per-target code: included once for each instruction set. A precision is a traits class:
//   Left, Sum          element types of A as the tile reads it, and of a tile's sums
//   kGroup             values of k that lie side by side in a panel: a step of the tile
//   kDepth             k in a block, a multiple of kGroup
//   kPanelBytes        bytes of a panel for each k
//   Scratch            a thread's memory for unfolded panels; `unfold` returns what tile() reads
//   tile(...)          sums (+)= A rows * panel columns over one block of k; fetches a line of
//                      `ahead` at every fourth step
//   to_float(...)      a row of sums as floats, ready for the epilogue
#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"

#if defined(VITRAIL_GEMM_DRIVER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_GEMM_DRIVER_INL_H_
#undef VITRAIL_GEMM_DRIVER_INL_H_
#else
#define VITRAIL_GEMM_DRIVER_INL_H_
#endif

#include "kernels/cpu/gemm_micro-inl.h"
#include "kernels/cpu/vector_math-inl.h"
#include "kernels/gemm.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// Rows of A that stay in L2 while panels of B pass through L1, and panels of B that a task takes.
constexpr int64_t kMaxBlockRows = 32 * kTileRows;
constexpr int64_t kMaxBlockPanels = kPanelWidth <= 16 ? 64 / kPanelWidth : 2;
// Fewer tasks than this leave the last thread waiting; more cost A another pass through L2.
constexpr int64_t kWantedTasks = 16;

// One row of a finished tile, kPanelWidth wide, all pointers readable to that width.
template <Activation kActivation>
HWY_INLINE void FinishRow(const float* sums, const float* bias, const float* scale,
                          const float* residual, float* out) {
  const FloatTag d;
  for (int v = 0; v < kTileVectors; ++v) {
    const int64_t at = v * kLanes;
    auto x = hn::LoadU(d, sums + at);
    if (bias != nullptr) x = hn::Add(x, hn::LoadU(d, bias + at));
    x = Activate<kActivation>(d, x);
    if (scale != nullptr) x = hn::Mul(x, hn::LoadU(d, scale + at));
    if (residual != nullptr) x = hn::Add(x, hn::LoadU(d, residual + at));
    hn::StoreU(x, d, out + at);
  }
}

using FinishRowFunction = void (*)(const float*, const float*, const float*, const float*, float*);

inline FinishRowFunction FinishRowFor(Activation activation) {
  switch (activation) {
    case Activation::none:
      return FinishRow<Activation::none>;
    case Activation::gelu:
      return FinishRow<Activation::gelu>;
    case Activation::gelu_tanh:
      return FinishRow<Activation::gelu_tanh>;
    case Activation::quick_gelu:
      return FinishRow<Activation::quick_gelu>;
    case Activation::relu:
      return FinishRow<Activation::relu>;
    case Activation::silu:
      return FinishRow<Activation::silu>;
  }
  return nullptr;
}

template <class Precision>
struct Task {
  const Precision& precision;
  const typename Precision::Left* a;
  int64_t a_stride;
  int64_t depth;  // K, rounded up to what the panels hold
  const char* panels;
  int64_t columns;
  const GemmOutput& c;
  int64_t row_begin, row_end;
  int64_t panel_begin, panel_end;
  int64_t panel_next;  // the first panel of the task that this thread is likely to take next
};

// Applies the epilogue to rows x panel columns of sums and stores them into C.
template <class Precision>
void FinishTile(const Task<Precision>& task, int64_t row, int64_t rows, int64_t panel,
                const typename Precision::Sum* sums, int64_t sums_stride,
                FinishRowFunction finish) {
  const GemmOutput& c = task.c;
  const Epilogue& epilogue = c.epilogue;
  const int64_t column = panel * kPanelWidth;
  const int64_t columns = std::min<int64_t>(kPanelWidth, task.columns - column);
  const bool whole = columns == kPanelWidth;
  HWY_ALIGN float bias_pad[kPanelWidth] = {};
  HWY_ALIGN float scale_pad[kPanelWidth] = {};
  HWY_ALIGN float residual_pad[kPanelWidth] = {};
  HWY_ALIGN float out_pad[kPanelWidth];
  const auto padded = [&](const float* source, float* pad) -> const float* {
    if (source == nullptr) return nullptr;
    if (whole) return source + column;
    std::copy_n(source + column, columns, pad);
    return pad;
  };
  const float* bias = padded(epilogue.bias, bias_pad);
  const float* scale = padded(epilogue.column_scale, scale_pad);
  for (int64_t r = 0; r < rows; ++r) {
    float* out = c.data + (row + r) * c.row_stride;
    // C += A*B is a residual that is C itself.
    const float* addend = c.accumulate
                              ? out
                              : (epilogue.residual == nullptr
                                     ? nullptr
                                     : epilogue.residual + (row + r) * epilogue.residual_stride);
    const float* residual = padded(addend, residual_pad);
    float* target = whole ? out + column : out_pad;
    HWY_ALIGN float converted[kPanelWidth];
    finish(task.precision.to_float(row + r, column, sums + r * sums_stride, converted), bias, scale,
           residual, target);
    if (!whole) std::copy_n(out_pad, columns, out + column);
  }
}

template <class Precision>
void RunTask(const Task<Precision>& task, FinishRowFunction finish) {
  using Sum = typename Precision::Sum;
  constexpr int64_t kDepth = Precision::kDepth;
  // Partial sums between blocks of k. They cannot live in C: the residual may be C.
  HWY_ALIGN Sum partial[kMaxBlockRows * kMaxBlockPanels * kPanelWidth];
  HWY_ALIGN typename Precision::Scratch scratch;
  const int64_t width = (task.panel_end - task.panel_begin) * kPanelWidth;
  const bool one_block = task.depth <= kDepth;
  const auto block_of = [&](int64_t panel, int64_t k) {
    return task.panels + (panel * task.depth + k) * Precision::kPanelBytes;
  };
  for (int64_t k = 0; k < task.depth || k == 0; k += kDepth) {
    const int64_t depth = std::min(kDepth, task.depth - k);
    const bool last = k + depth >= task.depth;
    for (int64_t panel = task.panel_begin; panel < task.panel_end; ++panel) {
      const auto* b = Precision::unfold(block_of(panel, k), depth, scratch);
      const int vectors = VectorsFor(task.columns - panel * kPanelWidth);
      // While the tiles of this block run, they fetch the next one, a part each.
      const char* here = block_of(panel, k);
      const char* ahead = panel + 1 < task.panel_end ? block_of(panel + 1, k)
                          : !last                    ? block_of(task.panel_begin, k + depth)
                                                     : block_of(task.panel_next, 0);
      const char* ahead_end = ahead + depth * Precision::kPanelBytes;
      for (int64_t row = task.row_begin; row < task.row_end; row += kTileRows) {
        const int64_t rows = std::min<int64_t>(kTileRows, task.row_end - row);
        HWY_ALIGN Sum registers[kTileRows * kPanelWidth];
        Sum* sums = registers;
        int64_t stride = kPanelWidth;
        if (!one_block) {
          sums =
              partial + (row - task.row_begin) * width + (panel - task.panel_begin) * kPanelWidth;
          stride = width;
        }
        task.precision.tile(vectors, static_cast<int>(rows), depth,
                            task.a + row * task.a_stride + k, task.a_stride, b, sums, stride, k > 0,
                            ahead < ahead_end ? ahead : here);
        ahead += depth / (4 * Precision::kGroup) * kLineBytes;
        if (last) FinishTile(task, row, rows, panel, sums, stride, finish);
      }
    }
  }
}

// A's rows lie a_stride elements apart; depth is K as the panels hold it.
template <class Precision>
void MultiplyPanels(Queue& queue, const Precision& precision, const typename Precision::Left* a,
                    int64_t a_stride, int64_t rows, int64_t depth, const void* panels,
                    int64_t columns, const GemmOutput& c) {
  const int64_t panel_count = (columns + kPanelWidth - 1) / kPanelWidth;
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  const int64_t row_blocks = (tiles * kTileRows + kMaxBlockRows - 1) / kMaxBlockRows;
  const int64_t block_rows = (tiles + row_blocks - 1) / row_blocks * kTileRows;
  const int64_t block_panels =
      std::clamp<int64_t>(panel_count * row_blocks / kWantedTasks, 1, kMaxBlockPanels);
  const int64_t panel_blocks = (panel_count + block_panels - 1) / block_panels;
  const int threads = queue.pool().num_threads();
  const FinishRowFunction finish =
      FinishRowFor(c.accumulate ? Activation::none : c.epilogue.activation);
  queue.pool().parallel_for(row_blocks * panel_blocks, [&](int64_t i, int) {
    // Row blocks change fastest: neighbours in time share the panels of B.
    const int64_t row = (i % row_blocks) * block_rows;
    const int64_t panel = (i / row_blocks) * block_panels;
    const int64_t next = (i + threads) / row_blocks * block_panels;
    const Task<Precision> task{.precision = precision,
                               .a = a,
                               .a_stride = a_stride,
                               .depth = depth,
                               .panels = static_cast<const char*>(panels),
                               .columns = columns,
                               .c = c,
                               .row_begin = row,
                               .row_end = std::min(rows, row + block_rows),
                               .panel_begin = panel,
                               .panel_end = std::min(panel_count, panel + block_panels),
                               .panel_next = next < panel_count ? next : panel};
    if (task.row_begin < task.row_end) RunTask(task, finish);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
