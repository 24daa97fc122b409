#include "ops/group_norm.h"

#include "autograd/timing.h"
#include "kernels/group_norm.h"

namespace vitrail {

Variable group_norm(const Context& context, const Variable& x, const GroupNormWeights& weights,
                    const NormEpilogue& epilogue) {
  const auto& [gamma, beta, groups, epsilon] = weights;
  check(x.shape().rank() >= 2 && gamma.shape() == Shape{x.size(-1)}, "group_norm",
        "{} of {} does not fit an input of {}", gamma.path(), gamma.shape().str(), x.shape().str());
  check(beta.shape() == gamma.shape(), "group_norm", "{} must have the shape {} of {}", beta.path(),
        gamma.shape().str(), gamma.path());
  check(groups > 0 && x.size(-1) % groups == 0, "group_norm",
        "{}: {} groups do not divide {} channels", gamma.path(), groups, x.size(-1));
  const Variable residual = residual_of(epilogue, x, "group_norm", gamma.path());
  const Timed timed(context, {"group_norm", gamma.path()});
  const Variable scale = gamma.variable(), shift = beta.variable();
  const bool recorded = records(context, {&x, &scale, &shift, &residual});
  const int64_t rows = x.size(0) * x.size(-1);
  const kernels::GroupNormSize size{.batch = x.size(0),
                                    .pixels = rows == 0 ? 0 : x.value().numel() / rows,
                                    .channels = x.size(-1),
                                    .groups = groups};
  Tensor y = Tensor::empty(x.shape());
  Tensor mean, rstd;
  if (recorded) {
    mean = Tensor::empty({size.batch, groups});
    rstd = Tensor::empty({size.batch, groups});
  }
  kernels::group_norm(context.queue, {.size = size,
                                      .epsilon = static_cast<float>(epsilon),
                                      .x = x.value().f32(),
                                      .gamma = scale.value().f32(),
                                      .beta = shift.value().f32(),
                                      .residual = residual.value().f32(),
                                      .relu = epilogue.relu,
                                      .y = y.f32(),
                                      .mean = mean.f32(),
                                      .rstd = rstd.f32()});
  if (!recorded) return y;
  SavedTensor y_saved;  // says where ReLU let the gradient through
  if (epilogue.relu) y_saved = SavedTensor(y);
  return context.tape->record(
      "group_norm", std::move(y), {x, scale, shift, residual},
      [size, mean, rstd, x_slot = x.slot(), scale_slot = scale.slot(), shift_slot = shift.slot(),
       residual_slot = residual.slot(), x_saved = SavedTensor(x.value()),
       scale_saved = SavedTensor(scale.value()), y_saved](Queue& queue, const Tensor& dy) {
        const int64_t channels = size.channels;
        Tensor dx, dresidual, dgamma, dbeta;
        if (x_slot) dx = Tensor::empty(dy.shape());
        if (residual_slot && y_saved.defined()) dresidual = Tensor::empty(dy.shape());
        if (scale_slot) dgamma = scale_slot->accumulator({channels});
        if (shift_slot) dbeta = shift_slot->accumulator({channels});
        kernels::group_norm_backward(queue, {.size = size,
                                             .x = x_saved.get().f32(),
                                             .y = y_saved.defined() ? y_saved.get().f32() : nullptr,
                                             .dy = dy.f32(),
                                             .gamma = scale_saved.get().f32(),
                                             .mean = mean.f32(),
                                             .rstd = rstd.f32(),
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
