#include "kernels/weight_gradient.h"

#include <algorithm>
#include <cassert>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/weight_gradient.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/dot-inl.h"
#include "kernels/cpu/round_bf16-inl.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// A block of dW that a task sums: 295 KB at most, which stay in the second cache beside a chunk's
// operands (196 KB of dY, 98 KB of X).
constexpr int64_t kMaxBlockOutputs = 384;
constexpr int64_t kMaxBlockInputs = 192;
constexpr int64_t kMaxSteps = 128;  // of a chunk: a panel of X (24 KB) stays in the first cache
constexpr int64_t kTasks = 16;      // wanted; a split must pay for its partial sum
constexpr int64_t kMinSplitRows = 64;
constexpr int64_t kRowGroup = 4;  // rows packed at once: whole cache lines of a strip
constexpr int64_t kPad = 16;      // floats: strips a power of two apart would fight for cache sets

// Loads that cover the kTileRows outputs of a strip; those of 6 overlap in the middle.
constexpr int kPartLanes = kTileRows == 8 ? std::min(kLanes, 8) : 4;
constexpr int kParts = (kTileRows + kPartLanes - 1) / kPartLanes;
constexpr int kPartOffset = kTileRows - kPartLanes;  // of the second one
using PartTag = hn::FixedTag<float, kPartLanes>;

inline int64_t CeilDivide(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
inline int64_t RoundToMultiple(int64_t a, int64_t b) {
  return CeilDivide(a, b) * b;
}

// How the work is cut, and where in the workspace (in floats) its parts lie. By shape alone, but
// for the scratch of each thread.
struct GradientPlan {
  int64_t strips, panels;              // of the whole: kTileRows outputs, kPanelWidth inputs
  int64_t block_strips, block_panels;  // of a task
  int64_t output_blocks, input_blocks;
  int64_t splits, split_rows, chunk_rows;
  int64_t block_width, block_floats;  // of a partial sum
  int64_t bias_at, bias_width;        // [splits, bias_width]
  int64_t zeros_at, scratch_at;       // a row of zeros; the threads' scratch
  int64_t strip_stride, panel_stride, left_floats, scratch_floats, sums_floats;
  int64_t total;

  GradientPlan(const WeightGradientArgs& args, int64_t rows_per_step, int threads) {
    strips = CeilDivide(args.outputs, kTileRows);
    panels = CeilDivide(args.inputs, kPanelWidth);
    block_strips = CeilDivide(strips, CeilDivide(strips * kTileRows, kMaxBlockOutputs));
    block_panels = CeilDivide(panels, CeilDivide(panels * kPanelWidth, kMaxBlockInputs));
    output_blocks = CeilDivide(strips, block_strips);
    input_blocks = CeilDivide(panels, block_panels);
    const int64_t most = std::max<int64_t>(1, args.rows / kMinSplitRows);
    splits = std::clamp<int64_t>(kTasks / (output_blocks * input_blocks), 1, most);
    split_rows = RoundToMultiple(CeilDivide(args.rows, splits), kRowGroup);
    splits = CeilDivide(args.rows, split_rows);
    chunk_rows = RoundToMultiple(
        CeilDivide(split_rows, CeilDivide(split_rows, kMaxSteps * rows_per_step)), kRowGroup);
    block_width = block_panels * kPanelWidth;
    block_floats = block_strips * kTileRows * block_width;
    const int64_t steps = chunk_rows / rows_per_step;
    strip_stride = steps * kTileRows + kPad;
    panel_stride = steps * kPanelWidth;
    left_floats = RoundToMultiple(block_strips * strip_stride, kPad);
    sums_floats = RoundToMultiple(block_strips * kParts * kPartLanes, kPad);
    scratch_floats = left_floats + RoundToMultiple(block_panels * panel_stride, kPad) + sums_floats;
    bias_at = RoundToMultiple(output_blocks * input_blocks * splits * block_floats, kPad);
    bias_width = RoundToMultiple(output_blocks * block_strips * kTileRows, kPad);
    zeros_at = bias_at + splits * bias_width;
    scratch_at = zeros_at + RoundToMultiple(std::max(args.outputs, args.inputs) + 64, kPad);
    total = scratch_at + threads * scratch_floats;
  }
  int64_t tasks() const { return output_blocks * input_blocks * splits; }
  int64_t task_of(int64_t output_block, int64_t input_block, int64_t split) const {
    return (split * input_blocks + input_block) * output_blocks + output_block;
  }
};

// One row of X or dY to a step.
struct SingleStep {
  static constexpr int64_t kRows = 1;
  static HWY_INLINE hn::Vec<FloatTag> Multiply(hn::Vec<FloatTag> sum, hn::Vec<FloatTag> left,
                                               hn::Vec<FloatTag> right) {
    return hn::MulAdd(left, right, sum);
  }
};
#if VITRAIL_HAS_BF16_DOT
// Two rows, rounded to bf16 and side by side in 32 bits.
struct PairStep {
  static constexpr int64_t kRows = 2;
  static HWY_INLINE hn::Vec<FloatTag> Multiply(hn::Vec<FloatTag> sum, hn::Vec<FloatTag> left,
                                               hn::Vec<FloatTag> right) {
    return DotBf16(sum, left, right);
  }
};
#endif

// out[r, c] (+)= sum over steps of strip[step, r] * panel[step, c].
template <class Step>
HWY_NOINLINE void StripTile(int64_t steps, const float* HWY_RESTRICT strip,
                            const float* HWY_RESTRICT panel, float* HWY_RESTRICT out,
                            int64_t out_stride, bool accumulate) {
  const FloatTag d;
  hn::Vec<FloatTag> sum[kTileRows][kTileVectors];
  HWY_UNROLL(8)
  for (int r = 0; r < kTileRows; ++r) HWY_UNROLL(3)
  for (int v = 0; v < kTileVectors; ++v) {
    sum[r][v] = hn::Zero(d);
    __builtin_prefetch(out + r * out_stride + v * kLanes, 1);
  }
  HWY_UNROLL(4)
  for (int64_t k = 0; k < steps; ++k) {
    hn::Vec<FloatTag> right[kTileVectors];
    HWY_UNROLL(3)
    for (int v = 0; v < kTileVectors; ++v) right[v] = hn::Load(d, panel + v * kLanes);
    panel += kPanelWidth;
    HWY_UNROLL(8)
    for (int r = 0; r < kTileRows; ++r) {
      const auto left = hn::Set(d, strip[r]);
      HWY_UNROLL(3)
      for (int v = 0; v < kTileVectors; ++v) sum[r][v] = Step::Multiply(sum[r][v], left, right[v]);
    }
    strip += kTileRows;
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kTileRows; ++r) HWY_UNROLL(3)
  for (int v = 0; v < kTileVectors; ++v) {
    float* to = out + r * out_stride + v * kLanes;
    hn::Store(accumulate ? hn::Add(hn::Load(d, to), sum[r][v]) : sum[r][v], d, to);
  }
}

// Four rows from `row` on; rows from `end` on are zeros.
template <class T>
struct RowGroup {
  const T* rows[kRowGroup];
  RowGroup(const T* data, int64_t stride, int64_t row, int64_t end, const void* zeros) {
    for (int64_t i = 0; i < kRowGroup; ++i)
      rows[i] = row + i < end ? data + (row + i) * stride : static_cast<const T*>(zeros);
  }
};

// Columns [column, ...) of a row that has `columns` of them; zeros beyond.
template <class D>
HWY_INLINE hn::Vec<D> LoadColumns(D d, const float* row, int64_t column, int64_t columns) {
  const int64_t left = columns - column;
  if (left >= static_cast<int64_t>(hn::Lanes(d))) return hn::LoadU(d, row + column);
  return left <= 0 ? hn::Zero(d) : LoadTail(d, row + column, static_cast<size_t>(left));
}

// Strips of dY, [strip][step][kTileRows]; sums += the columns' sums, of what was not yet rounded.
template <class Step, bool kRound>
void PackLeft(const WeightGradientArgs& args, int64_t begin, int64_t end, int64_t first_strip,
              int64_t strips, int64_t strip_stride, const float* zeros, float* out, float* sums) {
  const PartTag d;
  for (int64_t row = begin; row < end;
       row += kRowGroup, out += kRowGroup / Step::kRows * kTileRows) {
    const RowGroup<float> group(args.dy, args.outputs, row, end, zeros);
    for (int64_t strip = 0; strip < strips; ++strip)
      for (int part = 0; part < kParts; ++part) {
        const int64_t column = (first_strip + strip) * kTileRows + part * kPartOffset;
        hn::Vec<PartTag> v[kRowGroup];
        for (int i = 0; i < kRowGroup; ++i)
          v[i] = LoadColumns(d, group.rows[i], column, args.outputs);
        float* sum = sums + (strip * kParts + part) * kPartLanes;
        hn::StoreU(hn::Add(hn::LoadU(d, sum), hn::Add(hn::Add(v[0], v[1]), hn::Add(v[2], v[3]))), d,
                   sum);
        float* to = out + strip * strip_stride + part * kPartOffset;
        if constexpr (Step::kRows == 2) {
          for (int i = 0; i < kRowGroup; i += 2)
            hn::StoreU(hn::BitCast(d, PairOf(RoundToBf16(d, v[i]), RoundToBf16(d, v[i + 1]))), d,
                       to + i / 2 * kTileRows);
        } else {
          for (int i = 0; i < kRowGroup; ++i)
            hn::StoreU(kRound ? hn::BitCast(d, RoundToBf16(d, v[i])) : v[i], d, to + i * kTileRows);
        }
      }
  }
}

HWY_INLINE Bits LoadGradientOperand(const uint16_t* row, int64_t column, int64_t columns) {
  return column < columns ? LoadBits(row + column) : hn::Zero(BitsTag());
}
template <bool kRound>
HWY_INLINE Bits LoadGradientOperand(const float* row, int64_t column, int64_t columns) {
  const auto x = LoadColumns(FloatTag(), row, column, columns);
  return kRound ? RoundToBf16(x) : hn::BitCast(BitsTag(), x);
}

// Panels of X, [panel][step][kPanelWidth].
template <class Step, bool kRound, class T>
void PackRight(const WeightGradientArgs& args, const T* x, int64_t begin, int64_t end,
               int64_t first_panel, int64_t panels, int64_t panel_stride, const float* zeros,
               float* out) {
  const BitsTag du;
  auto* to = reinterpret_cast<uint32_t*>(out);
  for (int64_t row = begin; row < end;
       row += kRowGroup, to += kRowGroup / Step::kRows * kPanelWidth) {
    const RowGroup<T> group(x, args.x_stride, row, end, zeros);
    for (int64_t panel = 0; panel < panels; ++panel)
      for (int v = 0; v < kTileVectors; ++v) {
        const int64_t column = (first_panel + panel) * kPanelWidth + v * kLanes;
        Bits bits[kRowGroup];
        for (int i = 0; i < kRowGroup; ++i) {
          if constexpr (sizeof(T) == sizeof(uint16_t))
            bits[i] = LoadGradientOperand(group.rows[i], column, args.inputs);
          else
            bits[i] = LoadGradientOperand<kRound>(group.rows[i], column, args.inputs);
        }
        uint32_t* at = to + panel * panel_stride + v * kLanes;
        if constexpr (Step::kRows == 2) {
          hn::Store(PairOf(bits[0], bits[1]), du, at);
          hn::Store(PairOf(bits[2], bits[3]), du, at + kPanelWidth);
        } else {
          for (int i = 0; i < kRowGroup; ++i) hn::Store(bits[i], du, at + i * kPanelWidth);
        }
      }
  }
}

// The partial sum of one block of dW over one split of the rows.
template <class Step, bool kRound>
void RunSplit(const WeightGradientArgs& args, const GradientPlan& plan, int64_t task, int worker,
              float* workspace) {
  const int64_t output_block = task % plan.output_blocks;
  const int64_t input_block = task / plan.output_blocks % plan.input_blocks;
  const int64_t split = task / plan.output_blocks / plan.input_blocks;
  const int64_t strip = output_block * plan.block_strips;
  const int64_t strips = std::min(plan.block_strips, plan.strips - strip);
  const int64_t panel = input_block * plan.block_panels;
  const int64_t panels = std::min(plan.block_panels, plan.panels - panel);
  const float* zeros = workspace + plan.zeros_at;
  float* partial = workspace + task * plan.block_floats;
  float* left = workspace + plan.scratch_at + worker * plan.scratch_floats;
  float* right = left + plan.left_floats;
  float* sums = left + plan.scratch_floats - plan.sums_floats;
  std::fill_n(sums, strips * kParts * kPartLanes, 0.0f);
  const int64_t begin = split * plan.split_rows;
  const int64_t end = std::min(args.rows, begin + plan.split_rows);
  for (int64_t row = begin; row < end; row += plan.chunk_rows) {
    const int64_t stop = std::min(end, row + plan.chunk_rows);
    const int64_t steps = RoundToMultiple(stop - row, kRowGroup) / Step::kRows;
    PackLeft<Step, kRound>(args, row, stop, strip, strips, plan.strip_stride, zeros, left, sums);
    if (args.x_bf16 != nullptr)
      PackRight<Step, kRound>(args, args.x_bf16, row, stop, panel, panels, plan.panel_stride, zeros,
                              right);
    else
      PackRight<Step, kRound>(args, args.x, row, stop, panel, panels, plan.panel_stride, zeros,
                              right);
    for (int64_t p = 0; p < panels; ++p)
      for (int64_t s = 0; s < strips; ++s)
        StripTile<Step>(steps, left + s * plan.strip_stride, right + p * plan.panel_stride,
                        partial + s * kTileRows * plan.block_width + p * kPanelWidth,
                        plan.block_width, row > begin);
  }
  if (input_block != 0) return;
  float* bias = workspace + plan.bias_at + split * plan.bias_width + strip * kTileRows;
  for (int64_t s = 0; s < strips; ++s)
    for (int part = 0; part < kParts; ++part)
      std::copy_n(sums + (s * kParts + part) * kPartLanes, kPartLanes,
                  bias + s * kTileRows + part * kPartOffset);
}

// Rows [begin, end) of dW and db: the splits' partial sums in order.
void JoinSplits(const WeightGradientArgs& args, const GradientPlan& plan, const float* workspace,
                int64_t begin, int64_t end) {
  const FloatTag d;
  const int64_t split_floats = plan.output_blocks * plan.input_blocks * plan.block_floats;
  const int64_t block_outputs = plan.block_strips * kTileRows;
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t block = 0; block < plan.input_blocks; ++block) {
      const int64_t column = block * plan.block_width;
      const int64_t width = std::min(plan.block_width, args.inputs - column);
      const float* first = workspace +
                           plan.task_of(row / block_outputs, block, 0) * plan.block_floats +
                           row % block_outputs * plan.block_width;
      float* out = args.dw.data + row * args.inputs + column;
      for (int64_t j = 0; j < width; j += kLanes) {
        auto sum = hn::Load(d, first + j);  // the padding is zeros
        for (int64_t split = 1; split < plan.splits; ++split)
          sum = hn::Add(sum, hn::Load(d, first + split * split_floats + j));
        const int64_t count = std::min<int64_t>(kLanes, width - j);
        if (args.dw.accumulate) sum = hn::Add(LoadColumns(d, out, j, width), sum);
        if (count == kLanes)
          hn::StoreU(sum, d, out + j);
        else
          StoreTail(d, sum, out + j, static_cast<size_t>(count));
      }
    }
    if (args.db.data == nullptr) continue;
    const float* bias = workspace + plan.bias_at + row;
    float sum = bias[0];
    for (int64_t split = 1; split < plan.splits; ++split) sum += bias[split * plan.bias_width];
    args.db.data[row] = args.db.accumulate ? args.db.data[row] + sum : sum;
  }
}

template <class Step, bool kRound>
void WeightGradientOf(Queue& queue, const WeightGradientArgs& args, float* workspace) {
  const GradientPlan plan(args, Step::kRows, queue.pool().num_threads());
  std::fill(workspace + plan.zeros_at, workspace + plan.scratch_at, 0.0f);
  queue.pool().parallel_for(plan.tasks(), [&](int64_t task, int worker) {
    RunSplit<Step, kRound>(args, plan, task, worker, workspace);
  });
  queue.pool().parallel_ranges(
      args.outputs, rows_per_chunk(args.inputs * plan.splits),
      [&](int64_t begin, int64_t end) { JoinSplits(args, plan, workspace, begin, end); });
}

bool UsesPairs(const WeightGradientArgs& args) {
  return VITRAIL_HAS_BF16_DOT && args.bf16 && dot_products().bf16;
}

int64_t WeightGradientFloats(const WeightGradientArgs& args, int threads) {
  return GradientPlan(args, UsesPairs(args) ? 2 : 1, threads).total;
}

void WeightGradient(Queue& queue, const WeightGradientArgs& args, float* workspace) {
#if VITRAIL_HAS_BF16_DOT
  if (UsesPairs(args)) return WeightGradientOf<PairStep, true>(queue, args, workspace);
#endif
  if (args.bf16) return WeightGradientOf<SingleStep, true>(queue, args, workspace);
  WeightGradientOf<SingleStep, false>(queue, args, workspace);
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(WeightGradientFloats);
HWY_EXPORT(WeightGradient);

int64_t weight_gradient_workspace(Queue& queue, const WeightGradientArgs& args) {
  if (args.rows == 0 || args.outputs == 0 || args.inputs == 0) return 0;
  return VITRAIL_DISPATCH(WeightGradientFloats)(args, queue.pool().num_threads()) *
         int64_t{sizeof(float)};
}

void weight_gradient(Queue& queue, const WeightGradientArgs& args, void* workspace) {
  assert(args.dw.data != nullptr && (args.x != nullptr || args.bf16 || args.rows == 0));
  if (args.rows != 0 && args.outputs != 0 && args.inputs != 0)
    return VITRAIL_DISPATCH(WeightGradient)(queue, args, static_cast<float*>(workspace));
  // Nothing to sum.
  if (!args.dw.accumulate) std::fill_n(args.dw.data, args.outputs * args.inputs, 0.0f);
  if (args.db.data != nullptr && !args.db.accumulate) std::fill_n(args.db.data, args.outputs, 0.0f);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
