#include "kernels/weighted_sum.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/weighted_sum.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

void WeightedSumOne(const WeightedSumArgs& args, int64_t outer) {
  const hn::ScalableTag<float> d;
  const float* weights = args.weights + outer * args.axis;
  float* out = args.out + outer * args.inner;
  for (int64_t i = 0; i < args.inner; ++i) out[i] = 0;
  for (int64_t a = 0; a < args.axis; ++a) {
    const auto weight = hn::Set(d, weights[a]);
    Transform(
        d, out, args.inner, [&](auto sum, auto v) { return hn::MulAdd(weight, v, sum); }, out,
        args.x + (outer * args.axis + a) * args.inner);
  }
}

void WeightedSumBackwardOne(const WeightedSumBackwardArgs& args, int64_t outer) {
  const hn::ScalableTag<float> d;
  const float* dy = args.dy + outer * args.inner;
  for (int64_t a = 0; a < args.axis; ++a) {
    const int64_t row = outer * args.axis + a;
    if (args.dweights != nullptr)
      args.dweights[row] = SumRange(
          d, args.inner, [](auto u, auto v) { return hn::Mul(u, v); }, dy,
          args.x + row * args.inner);
    if (args.dx != nullptr) {
      const auto weight = hn::Set(d, args.weights[row]);
      Transform(
          d, args.dx + row * args.inner, args.inner, [&](auto v) { return hn::Mul(weight, v); },
          dy);
    }
  }
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {

HWY_EXPORT(WeightedSumOne);
HWY_EXPORT(WeightedSumBackwardOne);

void weighted_sum(Queue& queue, const WeightedSumArgs& args) {
  queue.pool().parallel_ranges(args.outer, rows_per_chunk(args.axis * args.inner),
                               [&](int64_t begin, int64_t end) {
                                 for (int64_t outer = begin; outer < end; ++outer)
                                   VITRAIL_DISPATCH(WeightedSumOne)(args, outer);
                               });
}

void weighted_sum_backward(Queue& queue, const WeightedSumBackwardArgs& args) {
  queue.pool().parallel_ranges(args.outer, rows_per_chunk(args.axis * args.inner),
                               [&](int64_t begin, int64_t end) {
                                 for (int64_t outer = begin; outer < end; ++outer)
                                   VITRAIL_DISPATCH(WeightedSumBackwardOne)(args, outer);
                               });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
