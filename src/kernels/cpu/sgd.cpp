#include "kernels/sgd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/sgd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

void SgdRange(const SgdArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const auto set = [&](double value) { return hn::Set(d, static_cast<float>(value)); };
  const auto rate = set(args.learning_rate), momentum = set(args.momentum);
  const auto decay = set(args.weight_decay), scale = set(args.gradient_scale);
  const int64_t count = end - begin;
  const float* gradient = args.gradient + begin;
  float* p = args.parameter + begin;
  const auto decayed = [&](auto g, auto parameter) {
    return hn::MulAdd(decay, parameter, hn::Mul(g, scale));
  };
  if (args.momentum == 0) {
    Transform(
        d, p, count,
        [&](auto parameter, auto g) {
          return hn::NegMulAdd(rate, decayed(g, parameter), parameter);
        },
        p, gradient);
    return;
  }
  float* b = args.momentum_buffer + begin;
  Transform(
      d, b, count,
      [&](auto buffer, auto g, auto parameter) {
        return hn::MulAdd(momentum, buffer, decayed(g, parameter));
      },
      b, gradient, p);
  Transform(
      d, p, count,
      [&](auto parameter, auto buffer, auto g) {
        const auto ahead = hn::MulAdd(momentum, buffer, decayed(g, parameter));
        return hn::NegMulAdd(rate, args.nesterov ? ahead : buffer, parameter);
      },
      p, b, gradient);
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/parallel_chunks.h"

namespace vitrail::kernels {

HWY_EXPORT(SgdRange);

void sgd(Queue& queue, std::span<const SgdArgs> parameters) {
  parallel_chunks(
      queue, parameters.size(), kElementsPerChunk, [&](size_t i) { return parameters[i].count; },
      [&](size_t i, int64_t, int64_t begin, int64_t end) {
        VITRAIL_DISPATCH(SgdRange)(parameters[i], begin, end);
      });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
