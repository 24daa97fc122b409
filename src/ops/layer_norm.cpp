#include "ops/layer_norm.h"

#include "autograd/timing.h"
#include "kernels/layer_norm.h"

namespace vitrail {

Variable layer_norm(const Context& context, const Variable& x, const LayerNormWeights& weights) {
  const auto& [gamma, beta, epsilon] = weights;
  check(x.shape().rank() >= 1 && gamma.shape() == Shape{x.size(-1)}, "layer_norm",
        "{} of {} does not fit an input of {}", gamma.path(), gamma.shape().str(), x.shape().str());
  check(beta == nullptr || beta->shape() == gamma.shape(), "layer_norm",
        "{} must have the shape {} of {}", beta == nullptr ? "" : beta->path(), gamma.shape().str(),
        gamma.path());
  const Timed timed(context, {"layer_norm", gamma.path()});
  const Variable scale = gamma.variable();
  const Variable shift = beta == nullptr ? Variable() : beta->variable();
  const bool recorded = records(context, {&x, &scale, &shift});
  const int64_t dim = x.size(-1), rows = dim == 0 ? 0 : x.value().numel() / dim;

  Tensor y = Tensor::empty(x.shape());
  Tensor mean, rstd;
  if (recorded) {
    mean = Tensor::empty({rows});
    rstd = Tensor::empty({rows});
  }
  kernels::layer_norm(context.queue, {.rows = rows,
                                      .dim = dim,
                                      .epsilon = static_cast<float>(epsilon),
                                      .x = x.value().f32(),
                                      .x_stride = dim,
                                      .gamma = scale.value().f32(),
                                      .beta = shift.value().f32(),
                                      .y = y.f32(),
                                      .y_stride = dim,
                                      .mean = mean.f32(),
                                      .rstd = rstd.f32()});
  if (!recorded) return y;
  return context.tape->record(
      "layer_norm", std::move(y), {x, scale, shift},
      [rows, dim, mean, rstd, x_slot = x.slot(), scale_slot = scale.slot(),
       shift_slot = shift.slot(), x_saved = SavedTensor(x.value()),
       scale_saved = SavedTensor(scale.value())](Queue& queue, const Tensor& dy) {
        Tensor dx, dgamma, dbeta;
        const bool accumulate = x_slot && x_slot->has_gradient();
        if (x_slot) dx = accumulate ? x_slot->gradient() : Tensor::empty(dy.shape());
        if (scale_slot) dgamma = scale_slot->accumulator({dim});
        if (shift_slot) dbeta = shift_slot->accumulator({dim});
        kernels::layer_norm_backward(queue, {.rows = rows,
                                             .dim = dim,
                                             .x = x_saved.get().f32(),
                                             .x_stride = dim,
                                             .dy = dy.f32(),
                                             .dy_stride = dim,
                                             .gamma = scale_saved.get().f32(),
                                             .mean = mean.f32(),
                                             .rstd = rstd.f32(),
                                             .dx = dx.f32(),
                                             .dx_stride = dim,
                                             .accumulate_dx = accumulate,
                                             .dgamma = dgamma.f32(),
                                             .dbeta = dbeta.f32()});
        if (x_slot && !accumulate) x_slot->accumulate(queue, std::move(dx));
      });
}

}  // namespace vitrail
