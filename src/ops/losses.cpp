#include "ops/losses.h"

#include <cmath>

#include "autograd/timing.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"
#include "ops/elementwise.h"
#include "ops/softmax_cross_entropy.h"

namespace vitrail {
namespace {

// sum q log q, the mean over rows, in double.
double mean_negative_entropy(const Tensor& probabilities) {
  double sum = 0;
  for (const float q : probabilities.values())
    if (q > 0) sum += q * std::log(static_cast<double>(q));
  return sum / static_cast<double>(probabilities.size(0));
}

}  // namespace

Variable kl_divergence(const Context& context, const Variable& logits, const Tensor& teacher,
                       double temperature) {
  check(temperature > 0, "kl_divergence", "the temperature is {}; it must be above 0", temperature);
  check(logits.shape().rank() == 2 && teacher.shape() == logits.shape(), "kl_divergence",
        "logits of {} and a teacher's of {} must have one shape [B, C]", logits.shape().str(),
        teacher.shape().str());
  const auto cooler = static_cast<float>(1 / temperature);
  const Context constant(context.queue);
  const Tensor q = softmax(constant, scale(constant, teacher, cooler)).value();
  // Cross-entropy has the divergence's gradient; the teacher's entropy is the constant between.
  const Variable cross = soft_cross_entropy(context, scale(context, logits, cooler), q);
  const auto weight = static_cast<float>(temperature * temperature);
  return scale(context,
               add(context, cross, Tensor::full({1}, static_cast<float>(mean_negative_entropy(q)))),
               weight);
}

Variable mean_squared_error(const Context& context, const Variable& x, const Tensor& target) {
  check(x.shape() == target.shape(), "mean_squared_error",
        "{} and its target {} must have one shape", x.shape().str(), target.shape().str());
  const int64_t count = target.numel();
  check(count > 0, "mean_squared_error", "{} holds nothing to average", x.shape().str());
  const Timed timed(context, {"mean_squared_error"});
  const Tensor difference = Tensor::empty(x.shape());
  kernels::add_scaled(context.queue, {.count = count,
                                      .a = x.value().f32(),
                                      .scale = -1,
                                      .b = target.f32(),
                                      .out = difference.f32()});
  double squares = 0;
  kernels::sum_squares(context.queue, count, difference.f32(), &squares);
  Tensor mean = Tensor::full({1}, static_cast<float>(squares / static_cast<double>(count)));
  if (!records(context, {&x})) return mean;
  return context.tape->record("mean_squared_error", std::move(mean), {x},
                              [count, slot = x.slot(), difference](Queue& queue, const Tensor& dy) {
                                Tensor dx = Tensor::empty(difference.shape());
                                kernels::scale(queue, count,
                                               2 * dy.f32()[0] / static_cast<float>(count),
                                               difference.f32(), dx.f32());
                                slot->accumulate(queue, std::move(dx));
                              });
}

}  // namespace vitrail
