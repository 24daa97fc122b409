// The register tile of every product and precision: kRows rows of A against one packed panel of B.
//
// Per-target code: included once for each instruction set (Highway's foreach_target).
//
// How the tile got its size: kRows * kVectors accumulators, kVectors of B and one broadcast of A
// must fit the registers, and products must outnumber loads. With 16 registers (AVX2, SSE4): 6 x 2,
// 12 products for 8 loads. With 32 (AVX-512, NEON): 8 x 3, 24 for 11; taller tiles would need more
// row pointers than there are integer registers, since A is read in place.
//
// A Step says how one step of k is taken:
//   Left, Right, Sum   elements of A, of a panel, of the sums
//   kGroup             values of k that lie side by side in a panel and are taken at once
//   Accumulator        vector of sums; Operand: vector of B, or of kGroup values of A in every lane
//   Zero, Load, Store  of accumulators; LoadPanel, Spread of operands; Multiply: sum + left * right
#include <array>
#include <cstdint>
#include <utility>

#include "hwy/highway.h"

#if defined(VITRAIL_GEMM_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_GEMM_TILE_INL_H_
#undef VITRAIL_GEMM_TILE_INL_H_
#else
#define VITRAIL_GEMM_TILE_INL_H_
#endif

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

// Vectors that `columns` more columns of a panel need.
inline int VectorsFor(int64_t columns) {
  return columns >= kPanelWidth ? kTileVectors : static_cast<int>((columns + kLanes - 1) / kLanes);
}

// What a tile computes. `sums` is continued when `accumulate`: the chain of additions over k is the
// same however k is cut into blocks. `ahead` is memory that will be wanted soon: a line of it is
// fetched at every fourth step.
template <class Step>
struct TileWork {
  int64_t depth;  // of k, a multiple of kGroup
  const typename Step::Left* a;
  int64_t a_stride;
  const typename Step::Right* panel;
  typename Step::Sum* sums;
  int64_t sums_stride;
  bool accumulate;
  const char* ahead;
};

// One step of k; a function of its own, which the compiler inlines before it gives out registers.
template <class Step, int kRows, int kVectors>
HWY_INLINE void MultiplyStep(const typename Step::Left* HWY_RESTRICT a, int64_t a_stride,
                             const typename Step::Operand (&b)[kVectors],
                             typename Step::Accumulator (&sum)[kRows][kVectors]) {
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    const auto left = Step::Spread(a + r * a_stride);
    HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = Step::Multiply(sum[r][v], left, b[v]);
  }
}
template <class Step, int kRows, int kVectors>
HWY_INLINE void TakeStep(const typename Step::Left* HWY_RESTRICT a, int64_t a_stride,
                         const typename Step::Right* HWY_RESTRICT panel,
                         typename Step::Accumulator (&sum)[kRows][kVectors]) {
  typename Step::Operand b[kVectors];
  HWY_UNROLL(3)
  for (int v = 0; v < kVectors; ++v) b[v] = Step::LoadPanel(panel + v * kLanes * Step::kGroup);
  MultiplyStep<Step, kRows, kVectors>(a, a_stride, b, sum);
}

// Sums to continue, or zeros.
template <class Step, int kRows, int kVectors>
HWY_INLINE void StartSums(const TileWork<Step>& work,
                          typename Step::Accumulator (&sum)[kRows][kVectors]) {
  if (work.accumulate) {
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = Step::Load(work.sums + r * work.sums_stride + v * kLanes);
  } else {
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) HWY_UNROLL(3)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = Step::Zero();
  }
}

// finish(row, vector, sums): what becomes of an accumulator while it is in a register.
template <class Step, int kRows, int kVectors, class Finish>
HWY_INLINE void ComputeTile(const TileWork<Step>& work, const Finish& finish) {
  using Accumulator = typename Step::Accumulator;
  constexpr int kGroup = Step::kGroup;
  Accumulator sum[kRows][kVectors];
  StartSums<Step, kRows, kVectors>(work, sum);
  const auto* HWY_RESTRICT a = work.a;
  const auto* HWY_RESTRICT panel = work.panel;
  const int64_t a_stride = work.a_stride, depth = work.depth;
  const char* ahead = work.ahead;
  // Four steps without a way out between them: with one, the compiler spills sums.
  int64_t k = 0;
  for (; k + 4 * kGroup <= depth; k += 4 * kGroup) {
    __builtin_prefetch(ahead, 0, 2);
    ahead += kLineBytes;
    HWY_UNROLL(4)
    for (int i = 0; i < 4; ++i, panel += kPanelWidth * kGroup)
      TakeStep<Step, kRows, kVectors>(a + k + i * kGroup, a_stride, panel, sum);
  }
  for (; k < depth; k += kGroup, panel += kPanelWidth * kGroup)
    TakeStep<Step, kRows, kVectors>(a + k, a_stride, panel, sum);
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(3)
  for (int v = 0; v < kVectors; ++v) finish(r, v, sum[r][v]);
}

// The sums as they are, into work.sums.
template <class Step, int kRows, int kVectors>
HWY_NOINLINE void SumTile(const TileWork<Step>& work) {
  ComputeTile<Step, kRows, kVectors>(
      work, [&](int r, int v, typename Step::Accumulator sum)
                HWY_ATTR { Step::Store(sum, work.sums + r * work.sums_stride + v * kLanes); });
}

// The last tile of a block is shorter, the last panel may be narrower: vectors from 1, rows from 1.
template <class Step, int kVectors, int... kRowIndex>
void RunSumTile(int rows, const TileWork<Step>& work, std::integer_sequence<int, kRowIndex...>) {
  using Function = void (*)(const TileWork<Step>&);
  static constexpr Function kTiles[] = {SumTile<Step, kRowIndex + 1, kVectors>...};
  kTiles[rows - 1](work);
}
template <class Step>
void RunSumTile(int vectors, int rows, const TileWork<Step>& work) {
  constexpr std::make_integer_sequence<int, kTileRows> kRows;
  if (vectors == kTileVectors) return RunSumTile<Step, kTileVectors>(rows, work, kRows);
  if (vectors == 1) return RunSumTile<Step, 1>(rows, work, kRows);
  RunSumTile<Step, 2>(rows, work, kRows);
}

// k in a block of floats: a panel's block (36 KB with AVX-512, 16 KB with AVX2) passes through L1,
// beside a tile's rows of A.
inline constexpr int64_t kFloatDepth = kPanelWidth <= 16 ? 256 : 192;

// f32: one k at a time.
struct F32Step {
  using Left = float;
  using Right = float;
  using Sum = float;
  using Accumulator = hn::Vec<FloatTag>;
  using Operand = hn::Vec<FloatTag>;
  static constexpr int kGroup = 1;
  static HWY_INLINE Accumulator Zero() { return hn::Zero(FloatTag()); }
  static HWY_INLINE Accumulator Load(const float* p) { return hn::LoadU(FloatTag(), p); }
  static HWY_INLINE void Store(Accumulator x, float* p) { hn::StoreU(x, FloatTag(), p); }
  static HWY_INLINE Operand LoadPanel(const float* p) { return hn::Load(FloatTag(), p); }
  static HWY_INLINE Operand Spread(const float* p) { return hn::Set(FloatTag(), *p); }
  static HWY_INLINE Accumulator Multiply(Accumulator sum, Operand left, Operand right) {
    return hn::MulAdd(left, right, sum);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target guard
