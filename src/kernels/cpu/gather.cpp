#include "kernels/gather.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gather.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

void GatherBackwardOne(const GatherBackwardArgs& args, int64_t outer) {
  const hn::ScalableTag<float> d;
  const int64_t* index = args.index + outer * args.picked;
  float* dx = args.dx + outer * args.rows * args.dim;
  const float* dy = args.dy + outer * args.picked * args.dim;
  for (int64_t p = 0; p < args.picked; ++p) {
    float* row = dx + index[p] * args.dim;
    Transform(
        d, row, args.dim, [](auto sum, auto v) { return hn::Add(sum, v); }, row, dy + p * args.dim);
  }
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {

HWY_EXPORT(GatherBackwardOne);

void gather(Queue& queue, const GatherArgs& args) {
  queue.pool().parallel_ranges(
      args.outer, rows_per_chunk(args.picked * args.dim), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin * args.picked; i < end * args.picked; ++i) {
          const int64_t row = i / args.picked * args.rows + args.index[i];
          std::copy_n(args.x + row * args.dim, args.dim, args.y + i * args.dim);
        }
      });
}

void gather_backward(Queue& queue, const GatherBackwardArgs& args) {
  queue.pool().parallel_ranges(args.outer, rows_per_chunk(args.picked * args.dim),
                               [&](int64_t begin, int64_t end) {
                                 for (int64_t outer = begin; outer < end; ++outer)
                                   VITRAIL_DISPATCH(GatherBackwardOne)(args, outer);
                               });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
