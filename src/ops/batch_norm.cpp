#include "ops/batch_norm.h"

#include <algorithm>

#include "autograd/running_statistics.h"
#include "autograd/timing.h"
#include "kernels/batch_norm.h"

namespace vitrail {
namespace {

struct Statistics {
  Tensor mean, variance;
};

Statistics of_batch(const Context& context, const Variable& x, const kernels::BatchNormSize& size,
                    const BatchNormWeights& weights) {
  const Shape shape{size.channels};
  const Statistics own{Tensor::empty(shape), Tensor::empty(shape)};
  kernels::batch_statistics(
      context.queue,
      {.size = size, .x = x.value().f32(), .mean = own.mean.f32(), .variance = own.variance.f32()});
  if (context.running == nullptr) return own;
  const Tensor unbiased = own.variance.clone();
  const auto rows = static_cast<double>(size.rows);
  for (float& value : unbiased.values())
    value = static_cast<float>(value * rows / std::max(rows - 1, 1.0));
  context.running->add(weights.running_mean, weights.running_variance, own.mean.values(),
                       unbiased.values());
  return own;
}

}  // namespace

Variable batch_norm(const Context& context, const Variable& x, const BatchNormWeights& weights,
                    const NormEpilogue& epilogue) {
  const auto& [gamma, beta, running_mean, running_variance, epsilon] = weights;
  check(x.shape().rank() >= 2, "batch_norm", "{}: an input of {} has no rows", gamma.path(),
        x.shape().str());
  const Shape shape{x.size(-1)};
  for (const Parameter* parameter : {&gamma, &beta, static_cast<const Parameter*>(&running_mean),
                                     static_cast<const Parameter*>(&running_variance)})
    check(parameter->shape() == shape, "batch_norm", "{} of {} does not fit an input of {}",
          parameter->path(), parameter->shape().str(), x.shape().str());
  const Variable residual = residual_of(epilogue, x, "batch_norm", gamma.path());
  const Timed timed(context, {"batch_norm", gamma.path()});
  const Variable scale = gamma.variable(), shift = beta.variable();
  const kernels::BatchNormSize size{.rows = x.size(-1) == 0 ? 0 : x.value().numel() / x.size(-1),
                                    .channels = x.size(-1)};
  check(size.rows > 0 || !context.batch_statistics, "batch_norm",
        "{}: an input of {} has no statistics", gamma.path(), x.shape().str());
  const Statistics statistics = context.batch_statistics
                                    ? of_batch(context, x, size, weights)
                                    : Statistics{running_mean.value(), running_variance.value()};
  Tensor y = Tensor::empty(x.shape());
  kernels::batch_norm(context.queue, {.size = size,
                                      .epsilon = static_cast<float>(epsilon),
                                      .x = x.value().f32(),
                                      .mean = statistics.mean.f32(),
                                      .variance = statistics.variance.f32(),
                                      .gamma = scale.value().f32(),
                                      .beta = shift.value().f32(),
                                      .residual = residual.value().f32(),
                                      .relu = epilogue.relu,
                                      .y = y.f32()});
  if (!records(context, {&x, &scale, &shift, &residual})) return y;
  SavedTensor y_saved;  // says where ReLU let the gradient through
  if (epilogue.relu) y_saved = SavedTensor(y);
  return context.tape->record(
      "batch_norm", std::move(y), {x, scale, shift, residual},
      [size, statistics, epsilon = static_cast<float>(epsilon), of_batch = context.batch_statistics,
       x_slot = x.slot(), scale_slot = scale.slot(), shift_slot = shift.slot(),
       residual_slot = residual.slot(), x_saved = SavedTensor(x.value()),
       scale_saved = SavedTensor(scale.value()), y_saved](Queue& queue, const Tensor& dy) {
        Tensor dx, dresidual, dgamma, dbeta;
        if (x_slot) dx = Tensor::empty(dy.shape());
        if (residual_slot && y_saved.defined()) dresidual = Tensor::empty(dy.shape());
        if (scale_slot) dgamma = scale_slot->accumulator({size.channels});
        if (shift_slot) dbeta = shift_slot->accumulator({size.channels});
        kernels::batch_norm_backward(queue, {.size = size,
                                             .epsilon = epsilon,
                                             .of_batch = of_batch,
                                             .x = x_saved.get().f32(),
                                             .y = y_saved.defined() ? y_saved.get().f32() : nullptr,
                                             .dy = dy.f32(),
                                             .gamma = scale_saved.get().f32(),
                                             .mean = statistics.mean.f32(),
                                             .variance = statistics.variance.f32(),
                                             .dx = dx.f32(),
                                             .dresidual = dresidual.f32(),
                                             .dgamma = dgamma.f32(),
                                             .dbeta = dbeta.f32()});
        if (x_slot) x_slot->accumulate(queue, std::move(dx));
        // Last, since the slot may keep dy itself and later gradients are added into it.
        if (residual_slot)
          residual_slot->accumulate(queue, dresidual.defined() ? std::move(dresidual) : dy);
      });
}

}  // namespace vitrail
