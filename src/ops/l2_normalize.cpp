#include "ops/l2_normalize.h"

#include "autograd/timing.h"
#include "kernels/l2_normalize.h"

namespace vitrail {
namespace {

Variable normalize(const Context& context, const char* name, const Variable& x,
                   const Variable& gain, double epsilon) {
  const Timed timed(context, {name});
  const int64_t dim = x.size(-1), rows = dim == 0 ? 0 : x.value().numel() / dim;
  Tensor y = Tensor::empty(x.shape());
  const Tensor norm = Tensor::empty({rows});
  kernels::l2_normalize(context.queue, {.rows = rows,
                                        .dim = dim,
                                        .epsilon = static_cast<float>(epsilon),
                                        .x = x.value().f32(),
                                        .gain = gain.value().f32(),
                                        .y = y.f32(),
                                        .norm = norm.f32()});
  if (!records(context, {&x, &gain})) return y;
  return context.tape->record(
      name, std::move(y), {x, gain},
      [rows, dim, epsilon, norm, x_slot = x.slot(), gain_slot = gain.slot(),
       x_saved = SavedTensor(x.value()),
       gain_saved = SavedTensor(gain.value())](Queue& queue, const Tensor& dy) {
        Tensor dx, dgain;
        if (x_slot) dx = Tensor::empty(dy.shape());
        if (gain_slot) dgain = gain_slot->accumulator(gain_saved.get().shape());
        kernels::l2_normalize_backward(queue, {.rows = rows,
                                               .dim = dim,
                                               .epsilon = static_cast<float>(epsilon),
                                               .x = x_saved.get().f32(),
                                               .gain = gain_saved.get().f32(),
                                               .norm = norm.f32(),
                                               .dy = dy.f32(),
                                               .dx = dx.f32(),
                                               .dgain = dgain.f32()});
        if (x_slot) x_slot->accumulate(queue, std::move(dx));
      });
}

}  // namespace

Variable l2_normalize(const Context& context, const Variable& x, double epsilon) {
  check(x.shape().rank() >= 1, "l2_normalize", "{} has no last axis", x.shape().str());
  return normalize(context, "l2_normalize", x, Variable(), epsilon);
}

Variable weight_norm(const Context& context, const Variable& v, const Variable& gain) {
  check(v.shape().rank() == 2 && gain.shape() == Shape{v.size(0), 1}, "weight_norm",
        "a gain of {} does not fit a weight of {}: [N, 1] and [N, K] are wanted",
        gain.shape().str(), v.shape().str());
  return normalize(context, "weight_norm", v, gain, 0);
}

}  // namespace vitrail
