#include "kernels/activation.h"

#include <cassert>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/activation.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"
#include "kernels/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

void ActivationRange(const ActivationArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  WithActivation(args.activation, [&](auto kind) {
    Transform(
        d, args.y + begin, end - begin, [&](auto v) { return Activate<kind.value>(d, v); },
        args.x + begin);
  });
}

void ActivationBackwardRange(const ActivationBackwardArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  WithActivation(args.activation, [&](auto kind) {
    Transform(
        d, args.dx + begin, end - begin,
        [&](auto x, auto dy) { return hn::Mul(dy, ActivateDerivative<kind.value>(d, x)); },
        args.x + begin, args.dy + begin);
  });
}

void GateRows(const GateArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  WithActivation(args.activation, [&](auto kind) {
    for (int64_t row = begin; row < end; ++row)
      Transform(
          d, args.y + row * args.y_stride, args.width,
          [&](auto gate, auto value) { return hn::Mul(Activate<kind.value>(d, gate), value); },
          args.gate + row * args.gate_stride, args.value + row * args.value_stride);
  });
}

void GateBackwardRows(const GateBackwardArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  WithActivation(args.activation, [&](auto kind) {
    for (int64_t row = begin; row < end; ++row) {
      const float* gate = args.gate + row * args.gate_stride;
      const float* value = args.value + row * args.value_stride;
      const float* dy = args.dy + row * args.dy_stride;
      Transform(
          d, args.dgate + row * args.dgate_stride, args.width,
          [&](auto g, auto v, auto gradient) {
            return hn::Mul(hn::Mul(gradient, v), ActivateDerivative<kind.value>(d, g));
          },
          gate, value, dy);
      Transform(
          d, args.dvalue + row * args.dvalue_stride, args.width,
          [&](auto g, auto gradient) { return hn::Mul(gradient, Activate<kind.value>(d, g)); },
          gate, dy);
    }
  });
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {
HWY_EXPORT(ActivationRange);
HWY_EXPORT(ActivationBackwardRange);
HWY_EXPORT(GateRows);
HWY_EXPORT(GateBackwardRows);

void activation(Queue& queue, const ActivationArgs& args) {
  queue.pool().parallel_ranges(args.count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(ActivationRange)(args, begin, end);
  });
}

void activation_backward(Queue& queue, const ActivationBackwardArgs& args) {
  queue.pool().parallel_ranges(args.count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(ActivationBackwardRange)(args, begin, end);
  });
}

void gate(Queue& queue, const GateArgs& args) {
  assert(args.gate != args.y && args.value != args.y);
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.width),
                               [&](int64_t begin, int64_t end) {
                                 VITRAIL_DISPATCH(GateRows)(args, begin, end);
                               });
}

void gate_backward(Queue& queue, const GateBackwardArgs& args) {
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.width),
                               [&](int64_t begin, int64_t end) {
                                 VITRAIL_DISPATCH(GateBackwardRows)(args, begin, end);
                               });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
