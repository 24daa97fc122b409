#include "kernels/gather.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gather.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

// Columns [begin, end) of one sample.
void ScatterAddColumns(const GatherBackwardArgs& args, int64_t outer, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const int64_t* index = args.index + (args.shared_index ? 0 : outer * args.picked);
  float* dx = args.dx + outer * args.rows * args.dim + begin;
  const float* dy = args.dy + outer * args.picked * args.dim + begin;
  for (int64_t p = 0; p < args.picked; ++p) {
    float* row = dx + index[p] * args.dim;
    Transform(
        d, row, end - begin, [](auto sum, auto v) { return hn::Add(sum, v); }, row,
        dy + p * args.dim);
  }
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {

HWY_EXPORT(ScatterAddColumns);

void gather(Queue& queue, const GatherArgs& args) {
  queue.pool().parallel_ranges(
      args.outer * args.picked, rows_per_chunk(args.dim), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t picked = args.index[args.shared_index ? i % args.picked : i];
          const int64_t row = i / args.picked * args.rows + picked;
          std::copy_n(args.x + row * args.dim, args.dim, args.y + i * args.dim);
        }
      });
}

void gather_backward(Queue& queue, const GatherBackwardArgs& args) {
  constexpr int64_t kStrip = 256;
  const int64_t strips = (args.dim + kStrip - 1) / kStrip;
  queue.pool().parallel_ranges(args.outer * strips,
                               rows_per_chunk(args.picked * std::min(kStrip, args.dim)),
                               [&](int64_t begin, int64_t end) {
                                 for (int64_t task = begin; task < end; ++task) {
                                   const int64_t first = task % strips * kStrip;
                                   VITRAIL_DISPATCH(ScatterAddColumns)
                                   (args, task / strips, first, std::min(args.dim, first + kStrip));
                                 }
                               });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
