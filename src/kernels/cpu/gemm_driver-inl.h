// How a product is cut into blocks, tiles and tasks, for every precision; and the epilogue.
//
// Per-target code: included once for each instruction set. A precision is a traits class:
//   Step               how a tile takes one step of k (gemm_tile-inl.h)
//   kDepth             k in a block, a multiple of kGroup
//   kPanelBytes        bytes of a panel for each k
//   kCoarse            the activation may be the cheap one: C is rounded to 8 bits next anyhow
//   Scratch            a thread's memory for unfolded panels; `unfold` returns what the tile reads
//   unfold_in_tile     may be missing: a whole tile that unfolds as it goes, its sums into
//   work.sums to_float(...)      a vector of finished sums as floats, with the bias (null: none)
#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"

#if defined(VITRAIL_GEMM_DRIVER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_GEMM_DRIVER_INL_H_
#undef VITRAIL_GEMM_DRIVER_INL_H_
#else
#define VITRAIL_GEMM_DRIVER_INL_H_
#endif

#include "kernels/cpu/gemm_panel-inl.h"
#include "kernels/cpu/layer_norm_row-inl.h"
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

template <class Precision>
struct Task {
  const Precision& precision;
  const typename Precision::Step::Left* a;
  int64_t a_stride;
  int64_t depth;  // K, rounded up to what the panels hold
  const char* panels;
  int64_t columns;
  const GemmOutput& c;
  int64_t row_begin, row_end;
  int64_t panel_begin, panel_end;
  int64_t panel_next;  // the first panel of the task that this thread is likely to take next
};

// The epilogue of one vector of C after to_float. Every path of the driver ends here, so an element
// is the same whichever tile it falls into.
template <class Precision, Activation kActivation>
HWY_INLINE hn::Vec<FloatTag> FinishVector(hn::Vec<FloatTag> x, const float* scale,
                                          const float* residual) {
  const FloatTag d;
  x = Activate<kActivation, Precision::kCoarse>(d, x);
  if (scale != nullptr) x = hn::Mul(x, hn::LoadU(d, scale));
  if (residual != nullptr) x = hn::Add(x, hn::LoadU(d, residual));
  return x;
}

// Sums that are floats already.
struct FloatSums {
  static HWY_INLINE hn::Vec<FloatTag> to_float(int64_t, int64_t, hn::Vec<FloatTag> sum,
                                               const float* bias) {
    return bias == nullptr ? sum : hn::Add(sum, hn::LoadU(FloatTag(), bias));
  }
};

// What is added after the activation: C += A*B is a residual that is C itself.
struct Addend {
  const float* data;
  int64_t stride;
};
inline Addend AddendOf(const GemmOutput& c) {
  if (c.accumulate) return {c.data, c.row_stride};
  return {c.epilogue.residual, c.epilogue.residual_stride};
}

// A whole tile of C, its last block of k and the epilogue without leaving the registers. With
// kAdds, LayerScale and residual where there are any, and no activation.
template <class Precision, Activation kActivation, bool kAdds>
HWY_NOINLINE void FinishedTile(const Task<Precision>& task, int64_t row, int64_t column,
                               const TileWork<typename Precision::Step>& work) {
  using Accumulator = typename Precision::Step::Accumulator;
  const float* bias = task.c.epilogue.bias == nullptr ? nullptr : task.c.epilogue.bias + column;
  const float* scale = !kAdds || task.c.epilogue.column_scale == nullptr
                           ? nullptr
                           : task.c.epilogue.column_scale + column;
  const Addend addend = kAdds ? AddendOf(task.c) : Addend{};
  const float* residual =
      addend.data == nullptr ? nullptr : addend.data + row * addend.stride + column;
  float* out = task.c.data + row * task.c.row_stride + column;
  for (int r = 0; r < kTileRows; ++r)
    for (int v = 0; v < kTileVectors; ++v) {
      __builtin_prefetch(out + r * task.c.row_stride + v * kLanes, 1);
      if (residual != nullptr) __builtin_prefetch(residual + r * addend.stride + v * kLanes);
    }
  ComputeTile<typename Precision::Step, kTileRows, kTileVectors>(
      work, [&](int r, int v, Accumulator sum) HWY_ATTR {
        const int64_t at = v * kLanes;
        const auto x = task.precision.to_float(row + r, column + at, sum,
                                               bias == nullptr ? nullptr : bias + at);
        hn::StoreU(FinishVector<Precision, kActivation>(
                       x, scale == nullptr ? nullptr : scale + at,
                       residual == nullptr ? nullptr : residual + r * addend.stride + at),
                   FloatTag(), out + r * task.c.row_stride + at);
      });
}

template <class Precision>
using FinishedTileFunction = void (*)(const Task<Precision>&, int64_t, int64_t,
                                      const TileWork<typename Precision::Step>&);

// Null where an activation is followed by LayerScale or a residual, and for activations that come
// after tanh in the list: too rare for code of their own. FinishSums has all of them.
template <class Precision>
FinishedTileFunction<Precision> FinishedTileFor(const GemmOutput& c) {
  const bool adds =
      c.accumulate || c.epilogue.residual != nullptr || c.epilogue.column_scale != nullptr;
  const Activation activation = c.accumulate ? Activation::none : c.epilogue.activation;
  if (adds)
    return activation == Activation::none ? FinishedTile<Precision, Activation::none, true>
                                          : nullptr;
  FinishedTileFunction<Precision> function = nullptr;
  WithActivation(activation, [&](auto kind) {
    if constexpr (decltype(kind)::value <= Activation::tanh)
      function = FinishedTile<Precision, decltype(kind)::value, false>;
  });
  return function;
}

// Applies the epilogue to rows x panel columns of sums and stores them into C: tiles at the edges.
template <class Precision>
void FinishSums(const Task<Precision>& task, int64_t row, int64_t rows, int64_t panel,
                const typename Precision::Step::Sum* sums, int64_t sums_stride) {
  const FloatTag d;
  const GemmOutput& c = task.c;
  const Addend addend = AddendOf(c);
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
  const float* bias = padded(c.epilogue.bias, bias_pad);
  const float* scale = padded(c.epilogue.column_scale, scale_pad);
  WithActivation(c.accumulate ? Activation::none : c.epilogue.activation, [&](auto kind) HWY_ATTR {
    for (int64_t r = 0; r < rows; ++r) {
      const float* residual = padded(
          addend.data == nullptr ? nullptr : addend.data + (row + r) * addend.stride, residual_pad);
      float* out = c.data + (row + r) * c.row_stride + column;
      float* target = whole ? out : out_pad;
      for (int v = 0; v < kTileVectors; ++v) {
        const int64_t at = v * kLanes;
        const auto x = task.precision.to_float(row + r, column + at,
                                               Precision::Step::Load(sums + r * sums_stride + at),
                                               bias == nullptr ? nullptr : bias + at);
        hn::StoreU(FinishVector<Precision, decltype(kind)::value>(
                       x, scale == nullptr ? nullptr : scale + at,
                       residual == nullptr ? nullptr : residual + at),
                   d, target + at);
      }
      if (!whole) std::copy_n(out_pad, columns, out);
    }
  });
}

template <class Precision>
void RunTask(const Task<Precision>& task, FinishedTileFunction<Precision> finished_tile) {
  using Step = typename Precision::Step;
  using Sum = typename Step::Sum;
  constexpr int64_t kDepth = Precision::kDepth;
  constexpr bool kUnfoldsInTile = requires {
    &Precision::unfold_in_tile;
  };
  // Partial sums between blocks of k. They cannot live in C: the residual may be C.
  HWY_ALIGN Sum partial[kMaxBlockRows * kMaxBlockPanels * kPanelWidth];
  HWY_ALIGN typename Precision::Scratch scratch;
  const int64_t width = (task.panel_end - task.panel_begin) * kPanelWidth;
  const auto block_of = [&](int64_t panel, int64_t k) {
    return task.panels + (panel * task.depth + k) * Precision::kPanelBytes;
  };
  for (int64_t k = 0; k < task.depth || k == 0; k += kDepth) {
    const int64_t depth = std::min(kDepth, task.depth - k);
    const bool last = k + depth >= task.depth;
    for (int64_t panel = task.panel_begin; panel < task.panel_end; ++panel) {
      const char* here = block_of(panel, k);
      const int vectors = VectorsFor(task.columns - panel * kPanelWidth);
      const bool whole_panel = (panel + 1) * kPanelWidth <= task.columns;
      bool unfolds = kUnfoldsInTile && whole_panel && task.row_end - task.row_begin >= kTileRows;
      const typename Step::Right* b = unfolds ? nullptr : Precision::unfold(here, depth, scratch);
      // While the tiles of this block run, they fetch the next one, a part each.
      const char* ahead = panel + 1 < task.panel_end ? block_of(panel + 1, k)
                          : !last                    ? block_of(task.panel_begin, k + depth)
                                                     : block_of(task.panel_next, 0);
      const char* ahead_end = ahead + depth * Precision::kPanelBytes;
      for (int64_t row = task.row_begin; row < task.row_end; row += kTileRows) {
        const int64_t rows = std::min<int64_t>(kTileRows, task.row_end - row);
        const TileWork<Step> work{.depth = depth,
                                  .a = task.a + row * task.a_stride + k,
                                  .a_stride = task.a_stride,
                                  .panel = b,
                                  .sums = partial + (row - task.row_begin) * width +
                                          (panel - task.panel_begin) * kPanelWidth,
                                  .sums_stride = width,
                                  .accumulate = k > 0,
                                  .ahead = ahead < ahead_end ? ahead : here};
        ahead += depth / (4 * Step::kGroup) * kLineBytes;
        if constexpr (kUnfoldsInTile) {
          if (unfolds) {
            b = Precision::unfold_in_tile(work, here, scratch);
            unfolds = false;
            if (last) FinishSums(task, row, rows, panel, work.sums, width);
            continue;
          }
        }
        if (last && whole_panel && rows == kTileRows && finished_tile != nullptr) {
          finished_tile(task, row, panel * kPanelWidth, work);
          continue;
        }
        RunSumTile(vectors, static_cast<int>(rows), work);
        if (last) FinishSums(task, row, rows, panel, work.sums, width);
      }
    }
  }
}

// Calls convert(row, values) for each row of A: as it is, or normalised in a thread's own memory.
template <class Convert>
void ForEachRow(Queue& queue, const LeftOperand& left, const Convert& convert) {
  constexpr int64_t kRowsPerTask = 16;
  const Matrix& a = left.a;
  const int64_t room = (a.columns + kLanes - 1) / kLanes * kLanes;
  Tensor scratch;
  if (left.norm != nullptr) scratch = Tensor::empty({queue.pool().num_threads(), room});
  const int64_t tasks = (a.rows + kRowsPerTask - 1) / kRowsPerTask;
  queue.pool().parallel_for(tasks, [&](int64_t task, int worker) {
    const int64_t end = std::min(a.rows, (task + 1) * kRowsPerTask);
    for (int64_t r = task * kRowsPerTask; r < end; ++r) {
      const float* values = a.data + r * a.row_stride;
      if (left.norm != nullptr) {
        float* normalised = scratch.f32() + worker * room;
        NormalizeRow(*left.norm, a.columns, values, normalised);
        values = normalised;
      }
      convert(r, values);
    }
  });
}

// Whether a product of few rows is cut so that each thread has rows of its own. Then every thread
// reads all of B; otherwise every thread reads all of A and finds a part of C in others' caches.
template <class Precision>
bool rows_stay_with_threads(int64_t rows, int64_t depth, int64_t columns, int64_t panel_count,
                            int threads) {
  if (rows < 4 * kTileRows * threads) return false;  // tiles for stealing even out the ends
  return panel_count * depth * Precision::kPanelBytes <=
         rows * (depth + columns) * static_cast<int64_t>(sizeof(float));
}

// A's rows lie a_stride elements apart; depth is K as the panels hold it.
template <class Precision>
void MultiplyPanels(Queue& queue, const Precision& precision,
                    const typename Precision::Step::Left* a, int64_t a_stride, int64_t rows,
                    int64_t depth, const void* panels, int64_t columns, const GemmOutput& c) {
  const int64_t panel_count = (columns + kPanelWidth - 1) / kPanelWidth;
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  int64_t row_blocks = (tiles * kTileRows + kMaxBlockRows - 1) / kMaxBlockRows;
  const int threads = queue.pool().num_threads();
  const bool stay = rows_stay_with_threads<Precision>(rows, depth, columns, panel_count, threads);
  if (stay) row_blocks = (row_blocks + threads - 1) / threads * threads;
  // Blocks of whole tiles, as even as they can be. Where threads have few tiles each, one more is
  // much: then blocks of rows, whose last tiles are short.
  const bool even = stay && tiles < 16 * row_blocks;
  const auto block_row = [&](int64_t block) {
    return even ? rows * block / row_blocks : tiles * block / row_blocks * kTileRows;
  };
  const int64_t block_panels =
      std::clamp<int64_t>(panel_count * row_blocks / kWantedTasks, 1, kMaxBlockPanels);
  const int64_t panel_blocks = (panel_count + block_panels - 1) / block_panels;
  const FinishedTileFunction<Precision> finished_tile = FinishedTileFor<Precision>(c);
  queue.pool().parallel_for(row_blocks * panel_blocks, [&](int64_t i, int) {
    // A thread's share is contiguous (core/parallel.h): its rows stay in its L2 while panels of B
    // pass, and are there when the next operation takes the same share of the rows.
    const int64_t block = i / panel_blocks;
    const int64_t panel = i % panel_blocks * block_panels;
    const int64_t next = (i + 1) % panel_blocks * block_panels;
    const Task<Precision> task{.precision = precision,
                               .a = a,
                               .a_stride = a_stride,
                               .depth = depth,
                               .panels = static_cast<const char*>(panels),
                               .columns = columns,
                               .c = c,
                               .row_begin = block_row(block),
                               .row_end = std::min(rows, block_row(block + 1)),
                               .panel_begin = panel,
                               .panel_end = std::min(panel_count, panel + block_panels),
                               .panel_next = next < panel_count ? next : panel};
    if (task.row_begin < task.row_end) RunTask(task, finished_tile);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
