#include "ops/elementwise.h"

#include "autograd/timing.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"

namespace vitrail {
namespace {

Tensor scaled(Queue& queue, const Tensor& x, float factor) {
  Tensor y = Tensor::empty(x.shape());
  kernels::scale(queue, x.numel(), factor, x.f32(), y.f32());
  return y;
}

}  // namespace

Variable add(const Context& context, const Variable& a, const Variable& b) {
  check(a.shape() == b.shape(), "add", "{} and {} must have one shape", a.shape().str(),
        b.shape().str());
  const Timed timed(context, {"add"});
  Tensor y = Tensor::empty(a.shape());
  kernels::add(context.queue,
               {.count = y.numel(), .a = a.value().f32(), .b = b.value().f32(), .out = y.f32()});
  if (!records(context, {&a, &b})) return y;
  return context.tape->record(
      "add", std::move(y), {a, b},
      [a_slot = a.slot(), b_slot = b.slot()](Queue& queue, const Tensor& dy) {
        // A slot keeps its first contribution, so two slots must not be given one tensor.
        if (a_slot && b_slot)
          b_slot->accumulate(queue, b_slot->has_gradient() ? dy : scaled(queue, dy, 1.0f));
        (a_slot ? a_slot : b_slot)->accumulate(queue, dy);
      });
}

Variable scale(const Context& context, const Variable& x, float factor) {
  const Timed timed(context, {"scale"});
  Tensor y = scaled(context.queue, x.value(), factor);
  if (!records(context, {&x})) return y;
  return context.tape->record("scale", std::move(y), {x},
                              [factor, slot = x.slot()](Queue& queue, const Tensor& dy) {
                                slot->accumulate(queue, scaled(queue, dy, factor));
                              });
}

Variable add_broadcast(const Context& context, const Variable& x, const Variable& y) {
  Shape one = x.shape();
  if (one.rank() >= 1) one[0] = 1;
  check(one.rank() >= 2 && y.shape() == one, "add_broadcast",
        "{} cannot be repeated over the first axis of {}: it must be {}", y.shape().str(),
        x.shape().str(), one.str());
  const int64_t dim = x.size(-1);
  const int64_t rows = dim == 0 ? 0 : x.value().numel() / dim;
  const int64_t period = dim == 0 ? 1 : y.value().numel() / dim;
  const Timed timed(context, {"add_broadcast"});
  Tensor sum = Tensor::empty(x.shape());
  kernels::add_broadcast(context.queue, {.rows = rows,
                                         .dim = dim,
                                         .x = x.value().f32(),
                                         .vector = y.value().f32(),
                                         .period = period,
                                         .out = sum.f32()});
  if (!records(context, {&x, &y})) return sum;
  return context.tape->record("add_broadcast", std::move(sum), {x, y},
                              [rows, dim, period, shape = y.shape(), x_slot = x.slot(),
                               y_slot = y.slot()](Queue& queue, const Tensor& dy) {
                                if (y_slot)
                                  kernels::sum_rows(queue,
                                                    {.rows = rows,
                                                     .dim = dim,
                                                     .x = dy.f32(),
                                                     .x_stride = dim,
                                                     .period = period,
                                                     .out = y_slot->accumulator(shape).f32()});
                                if (x_slot) x_slot->accumulate(queue, dy);
                              });
}

Variable layer_scale(const Context& context, const Variable& x, const Parameter& gamma) {
  check(x.shape().rank() >= 1 && gamma.shape() == Shape{x.size(-1)}, "layer_scale",
        "{} of {} does not fit an input of {}", gamma.path(), gamma.shape().str(), x.shape().str());
  const Timed timed(context, {"layer_scale", gamma.path()});
  const Variable factor = gamma.variable();
  const int64_t dim = x.size(-1), rows = dim == 0 ? 0 : x.value().numel() / dim;
  const auto multiply = [rows, dim](Queue& queue, const Tensor& from, const Tensor& vector) {
    Tensor y = Tensor::empty(from.shape());
    kernels::multiply_broadcast(
        queue, {.rows = rows, .dim = dim, .x = from.f32(), .vector = vector.f32(), .out = y.f32()});
    return y;
  };
  Tensor y = multiply(context.queue, x.value(), factor.value());
  if (!records(context, {&x, &factor})) return y;
  return context.tape->record(
      "layer_scale", std::move(y), {x, factor},
      [multiply, rows, dim, x_slot = x.slot(), factor_slot = factor.slot(),
       x_saved = SavedTensor(x.value()),
       factor_saved = SavedTensor(factor.value())](Queue& queue, const Tensor& dy) {
        if (factor_slot)
          kernels::sum_rows(queue, {.rows = rows,
                                    .dim = dim,
                                    .x = dy.f32(),
                                    .x_stride = dim,
                                    .y = x_saved.get().f32(),
                                    .y_stride = dim,
                                    .out = factor_slot->accumulator({dim}).f32()});
        if (x_slot) x_slot->accumulate(queue, multiply(queue, dy, factor_saved.get()));
      });
}

}  // namespace vitrail
