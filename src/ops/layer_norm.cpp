#include "ops/layer_norm.h"

#include <array>

#include "autograd/timing.h"
#include "kernels/layer_norm.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

using kernels::NormKind;

// Both weights may be null.
struct RowWeights {
  NormKind kind = NormKind::layer;
  const Parameter* gamma = nullptr;
  const Parameter* beta = nullptr;
  double epsilon = 1e-6;
  const char* name() const { return kind == NormKind::layer ? "layer_norm" : "rms_norm"; }
};

Variable variable_of(const Parameter* parameter) {
  return parameter == nullptr ? Variable() : parameter->variable();
}

void check_weights(const Variable& x, const RowWeights& weights) {
  check(x.shape().rank() >= 1, weights.name(), "{} has no last axis", x.shape().str());
  for (const Parameter* weight : {weights.gamma, weights.beta})
    check(weight == nullptr || weight->shape() == Shape{x.size(-1)}, weights.name(),
          "{} of {} does not fit an input of {}", weight == nullptr ? "" : weight->path(),
          weight == nullptr ? "" : weight->shape().str(), x.shape().str());
}

Variable normalise_rows(const Context& context, const Variable& x, const RowWeights& weights) {
  check_weights(x, weights);
  const NormKind kind = weights.kind;
  const Timed timed(context, {weights.name(), weights.gamma == nullptr ? std::string_view()
                                                                       : weights.gamma->path()});
  const Variable scale = variable_of(weights.gamma), shift = variable_of(weights.beta);
  const bool recorded = records(context, {&x, &scale, &shift});
  const int64_t dim = x.size(-1), rows = dim == 0 ? 0 : x.value().numel() / dim;

  Tensor y = Tensor::empty(x.shape());
  Tensor mean, rstd;
  if (recorded) {
    if (kind == NormKind::layer) mean = Tensor::empty({rows});
    rstd = Tensor::empty({rows});
  }
  kernels::layer_norm(context.queue, {.kind = kind,
                                      .rows = rows,
                                      .dim = dim,
                                      .epsilon = static_cast<float>(weights.epsilon),
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
      weights.name(), std::move(y), {x, scale, shift},
      [kind, rows, dim, mean, rstd, x_slot = x.slot(), scale_slot = scale.slot(),
       shift_slot = shift.slot(), x_saved = SavedTensor(x.value()),
       scale_saved = SavedTensor(scale.value())](Queue& queue, const Tensor& dy) {
        Tensor dx, dgamma, dbeta;
        const bool accumulate = x_slot && x_slot->has_gradient();
        if (x_slot) dx = accumulate ? x_slot->accumulator(dy.shape()) : Tensor::empty(dy.shape());
        if (scale_slot) dgamma = scale_slot->accumulator({dim});
        if (shift_slot) dbeta = shift_slot->accumulator({dim});
        kernels::layer_norm_backward(queue, {.kind = kind,
                                             .rows = rows,
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

}  // namespace

Variable layer_norm(const Context& context, const Variable& x, const LayerNormWeights& weights) {
  return normalise_rows(context, x,
                        {.kind = weights.kind,
                         .gamma = &weights.gamma,
                         .beta = weights.beta,
                         .epsilon = weights.epsilon});
}

Variable plain_layer_norm(const Context& context, const Variable& x, double epsilon) {
  return normalise_rows(context, x, {.epsilon = epsilon});
}

Variable layer_norm_2d(const Context& context, const Variable& x, const LayerNormWeights& weights) {
  check(x.shape().rank() == 4, "layer_norm_2d", "{} must be [B, C, H, W]", x.shape().str());
  constexpr std::array kChannelsLast{0, 2, 3, 1}, kChannelsFirst{0, 3, 1, 2};
  const Variable y = layer_norm(context, permute(context, x, kChannelsLast), weights);
  return permute(context, y, kChannelsFirst);
}

Variable rms_norm(const Context& context, const Variable& x, const Parameter* gamma,
                  double epsilon) {
  return normalise_rows(context, x,
                        {.kind = NormKind::root_mean_square, .gamma = gamma, .epsilon = epsilon});
}

}  // namespace vitrail
