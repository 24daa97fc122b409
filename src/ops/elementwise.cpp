#include "ops/elementwise.h"

#include "autograd/timing.h"
#include "kernels/copy.h"
#include "kernels/elementwise.h"
#include "ops/broadcast.h"

namespace vitrail {
namespace {

using kernels::Arithmetic;
using kernels::Function;

Tensor scaled(Queue& queue, const Tensor& x, float factor) {
  Tensor y = Tensor::empty(x.shape());
  kernels::scale(queue, x.numel(), factor, x.f32(), y.f32());
  return y;
}

Tensor combined(Queue& queue, Arithmetic operation, const Tensor& a, const Tensor& b,
                const Shape& shape) {
  Tensor y = Tensor::empty(shape);
  kernels::arithmetic(queue, {.operation = operation,
                              .a = kernels::broadcast_to(a.view(), shape),
                              .b = kernels::broadcast_to(b.view(), shape),
                              .out = y.view()});
  return y;
}

// The gradient of a b in a: dy b, summed over what a was repeated to.
Tensor product_gradient(Queue& queue, const Tensor& dy, const Tensor& b, const Shape& a) {
  if (a == dy.shape()) return combined(queue, Arithmetic::multiply, dy, b, dy.shape());
  if (b.shape() == dy.shape()) return summed_to(queue, dy, a, &b);
  return summed_to(queue, combined(queue, Arithmetic::multiply, dy, b, dy.shape()), a);
}

// Where an operand's gradient goes, and of which shape.
struct Side {
  std::shared_ptr<GradientSlot> slot;
  Shape shape;
};

// y = a + sign b: each gets dy, summed over what it was repeated to.
void sum_backward(Queue& queue, const Side& a, const Side& b, float sign, const Tensor& dy) {
  if (b.slot) {
    Tensor db = summed_to(queue, dy, b.shape);
    // A slot keeps its first contribution, so two slots must not be given one tensor.
    const bool shared = db.raw() == dy.raw() && a.slot && !b.slot->has_gradient();
    if (sign != 1.0f || shared) db = scaled(queue, db, sign);
    b.slot->accumulate(queue, std::move(db));
  }
  if (a.slot) a.slot->accumulate(queue, summed_to(queue, dy, a.shape));
}

Variable sum_or_difference(const Context& context, const char* name, const Variable& a,
                           const Variable& b, Arithmetic operation) {
  const Shape shape = broadcast_shape(name, a.shape(), b.shape());
  const Timed timed(context, {name});
  Tensor y = combined(context.queue, operation, a.value(), b.value(), shape);
  if (!records(context, {&a, &b})) return y;
  const float sign = operation == Arithmetic::add ? 1.0f : -1.0f;
  return context.tape->record(
      name, std::move(y), {a, b},
      [sign, to_a = Side{a.slot(), a.shape()}, to_b = Side{b.slot(), b.shape()}](
          Queue& queue, const Tensor& dy) { sum_backward(queue, to_a, to_b, sign, dy); });
}

// a b. Without a path the profile has it as `name` alone.
Variable product(const Context& context, const Work& work, const Variable& a, const Variable& b) {
  const Shape shape = broadcast_shape(work.operation, a.shape(), b.shape());
  const Timed timed(context, work);
  Tensor y = combined(context.queue, Arithmetic::multiply, a.value(), b.value(), shape);
  if (!records(context, {&a, &b})) return y;
  SavedTensor a_saved, b_saved;  // each is needed by the other's gradient alone
  if (b.needs_gradient()) a_saved = SavedTensor(a.value());
  if (a.needs_gradient()) b_saved = SavedTensor(b.value());
  return context.tape->record(
      work.operation, std::move(y), {a, b},
      [a_saved, b_saved, to_a = Side{a.slot(), a.shape()}, to_b = Side{b.slot(), b.shape()}](
          Queue& queue, const Tensor& dy) {
        if (to_b.slot)
          to_b.slot->accumulate(queue, product_gradient(queue, dy, a_saved.get(), to_b.shape));
        if (to_a.slot)
          to_a.slot->accumulate(queue, product_gradient(queue, dy, b_saved.get(), to_a.shape));
      });
}

Variable function(const Context& context, const char* name, const Variable& x, Function kind) {
  const Timed timed(context, {name});
  Tensor y = Tensor::empty(x.shape());
  kernels::apply(context.queue,
                 {.function = kind, .count = y.numel(), .x = x.value().f32(), .y = y.f32()});
  if (!records(context, {&x})) return y;
  const SavedTensor saved(kind == Function::log ? x.value() : y);
  return context.tape->record(name, std::move(y), {x},
                              [kind, saved, slot = x.slot()](Queue& queue, const Tensor& dy) {
                                Tensor dx = Tensor::empty(dy.shape());
                                kernels::apply_backward(queue, {.function = kind,
                                                                .count = dy.numel(),
                                                                .saved = saved.get().f32(),
                                                                .dy = dy.f32(),
                                                                .dx = dx.f32()});
                                slot->accumulate(queue, std::move(dx));
                              });
}

}  // namespace

Variable add(const Context& context, const Variable& a, const Variable& b) {
  return sum_or_difference(context, "add", a, b, Arithmetic::add);
}

Variable subtract(const Context& context, const Variable& a, const Variable& b) {
  return sum_or_difference(context, "subtract", a, b, Arithmetic::subtract);
}

Variable multiply(const Context& context, const Variable& a, const Variable& b) {
  return product(context, {"multiply"}, a, b);
}

Variable divide(const Context& context, const Variable& a, const Variable& b) {
  const Shape shape = broadcast_shape("divide", a.shape(), b.shape());
  const Timed timed(context, {"divide"});
  Tensor y = combined(context.queue, Arithmetic::divide, a.value(), b.value(), shape);
  if (!records(context, {&a, &b})) return y;
  SavedTensor y_saved;
  if (b.needs_gradient()) y_saved = SavedTensor(y);
  return context.tape->record(
      "divide", std::move(y), {a, b},
      [y_saved, b_saved = SavedTensor(b.value()), to_a = Side{a.slot(), a.shape()},
       to_b = Side{b.slot(), b.shape()}](Queue& queue, const Tensor& dy) {
        const Tensor& divisor = b_saved.get();
        if (to_b.slot) {
          // db = -dy a / b^2 = -dy y / b, and b is constant where it is summed over.
          const Tensor sum = summed_to(queue, dy, to_b.shape, &y_saved.get());
          Tensor db = combined(queue, Arithmetic::divide, sum, divisor, to_b.shape);
          to_b.slot->accumulate(queue, scaled(queue, db, -1.0f));
        }
        if (!to_a.slot) return;
        const Tensor quotient = combined(queue, Arithmetic::divide, dy, divisor, dy.shape());
        to_a.slot->accumulate(queue, summed_to(queue, quotient, to_a.shape));
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
  return sum_or_difference(context, "add_broadcast", x, y, Arithmetic::add);
}

Variable layer_scale(const Context& context, const Variable& x, const Parameter& gamma) {
  check(x.shape().rank() >= 1 && gamma.shape() == Shape{x.size(-1)}, "layer_scale",
        "{} of {} does not fit an input of {}", gamma.path(), gamma.shape().str(), x.shape().str());
  return product(context, {"layer_scale", gamma.path()}, x, gamma.variable());
}

Variable exp(const Context& context, const Variable& x) {
  return function(context, "exp", x, Function::exp);
}

Variable log(const Context& context, const Variable& x) {
  return function(context, "log", x, Function::log);
}

Variable sqrt(const Context& context, const Variable& x) {
  return function(context, "sqrt", x, Function::sqrt);
}

Variable rsqrt(const Context& context, const Variable& x) {
  return function(context, "rsqrt", x, Function::rsqrt);
}

}  // namespace vitrail
