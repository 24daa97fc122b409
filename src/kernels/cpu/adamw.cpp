#include "kernels/adamw.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/adamw.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

void AdamWRange(const AdamWArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const double correction1 = 1 - std::pow(args.beta1, static_cast<double>(args.step));
  const double correction2 = 1 - std::pow(args.beta2, static_cast<double>(args.step));
  const auto set = [&](double value) { return hn::Set(d, static_cast<float>(value)); };
  const auto decay = set(1 - args.learning_rate * args.weight_decay);
  const auto rate1 = set(1 - args.beta1), rate2 = set(1 - args.beta2), beta2 = set(args.beta2);
  const auto root2 = set(std::sqrt(correction2)), epsilon = set(args.epsilon);
  const auto step = set(args.learning_rate / correction1);
  const auto gradient_scale = set(args.gradient_scale);
  const int64_t count = end - begin;
  const float* gradient = args.gradient + begin;
  float* m = args.first_moment + begin;
  float* v = args.second_moment + begin;
  float* p = args.parameter + begin;
  Transform(
      d, m, count,
      [&](auto moment, auto g) {
        return hn::MulAdd(rate1, hn::Sub(hn::Mul(g, gradient_scale), moment), moment);
      },
      m, gradient);
  Transform(
      d, v, count,
      [&](auto moment, auto g) {
        const auto scaled = hn::Mul(g, gradient_scale);
        return hn::MulAdd(hn::Mul(rate2, scaled), scaled, hn::Mul(moment, beta2));
      },
      v, gradient);
  Transform(
      d, p, count,
      [&](auto parameter, auto first, auto second) {
        const auto denominator = hn::Add(hn::Div(hn::Sqrt(second), root2), epsilon);
        return hn::NegMulAdd(step, hn::Div(first, denominator), hn::Mul(parameter, decay));
      },
      p, m, v);
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/parallel_chunks.h"

namespace vitrail::kernels {

HWY_EXPORT(AdamWRange);

void adamw(Queue& queue, const AdamWArgs& args) {
  adamw(queue, std::span(&args, 1));
}

void adamw(Queue& queue, std::span<const AdamWArgs> parameters) {
  parallel_chunks(
      queue, parameters.size(), kElementsPerChunk, [&](size_t i) { return parameters[i].count; },
      [&](size_t i, int64_t, int64_t begin, int64_t end) {
        VITRAIL_DISPATCH(AdamWRange)(parameters[i], begin, end);
      });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
