#include "ops/reduce.h"

#include <limits>

#include "autograd/timing.h"
#include "kernels/elementwise.h"
#include "kernels/order.h"
#include "kernels/reduce.h"
#include "ops/axes.h"
#include "ops/broadcast.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

// Places along an axis are kept in 32 bits.
constexpr int64_t kMaxIndexedAxis = std::numeric_limits<int32_t>::max();

// The shape with the axes of size 1, and without them.
struct ReducedShape {
  Shape kept, dropped;
  const Shape& of(bool keep_axes) const { return keep_axes ? kept : dropped; }
};

ReducedShape reduced_shape(const char* place, const Shape& shape, const std::vector<int>& axes) {
  std::vector<bool> reduced(static_cast<size_t>(shape.rank()));
  ReducedShape result{.kept = shape, .dropped = {}};
  for (const int named : axes) {
    const int axis = checked_axis(place, shape, named);
    check(!reduced[static_cast<size_t>(axis)], place, "axis {} of {} is named twice", axis,
          shape.str());
    reduced[static_cast<size_t>(axis)] = true;
    result.kept[axis] = 1;
  }
  std::vector<int64_t> left;
  for (int i = 0; i < shape.rank(); ++i)
    if (!reduced[static_cast<size_t>(i)]) left.push_back(shape[i]);
  result.dropped = Shape(std::span<const int64_t>(left));
  return result;
}

// factor times the sum.
Variable scaled_sum(const Context& context, const char* name, const Variable& x,
                    const ReducedShape& shapes, bool keep_axes, float factor) {
  const Timed timed(context, {name});
  const auto times = [factor](Queue& queue, Tensor y) {
    if (factor != 1.0f) kernels::scale(queue, y.numel(), factor, y.f32(), y.f32());
    return y;
  };
  Tensor y = summed_to(context.queue, x.value(), shapes.kept).reshape(shapes.of(keep_axes));
  if (y.raw() == x.value().raw()) y = y.clone();  // nothing was summed; the result is its own
  y = times(context.queue, std::move(y));
  if (!records(context, {&x})) return y;
  return context.tape->record(name, std::move(y), {x},
                              [times, kept = shapes.kept, shape = x.shape(), slot = x.slot()](
                                  Queue& queue, const Tensor& dy) {
                                Tensor dx = expanded(queue, dy.reshape(kept), shape);
                                slot->accumulate(queue, times(queue, std::move(dx)));
                              });
}

// [outer, axis, inner] to [outer, inner].
Variable max_of_axis(const Context& context, const Variable& x, const AxisSplit& split) {
  Tensor y = Tensor::empty({split.outer, split.inner});
  const bool recorded = records(context, {&x});
  Tensor index;
  if (recorded) index = Tensor::empty(y.shape(), DType::i32);
  kernels::max_axis(context.queue, {.outer = split.outer,
                                    .axis = split.axis,
                                    .inner = split.inner,
                                    .x = x.value().f32(),
                                    .out = y.f32(),
                                    .index = index.data<int32_t>()});
  if (!recorded) return y;
  return context.tape->record(
      "max", std::move(y), {x},
      [split, index, shape = x.shape(), slot = x.slot()](Queue& queue, const Tensor& dy) {
        Tensor dx = Tensor::empty(shape);
        kernels::max_axis_backward(queue, {.outer = split.outer,
                                           .axis = split.axis,
                                           .inner = split.inner,
                                           .index = index.data<int32_t>(),
                                           .dy = dy.f32(),
                                           .dx = dx.f32()});
        slot->accumulate(queue, std::move(dx));
      });
}

}  // namespace

Variable sum_over(const Context& context, const Variable& x, const std::vector<int>& axes,
                  bool keep_axes) {
  return scaled_sum(context, "sum", x, reduced_shape("sum", x.shape(), axes), keep_axes, 1);
}

Variable mean_over(const Context& context, const Variable& x, const std::vector<int>& axes,
                   bool keep_axes) {
  const ReducedShape shapes = reduced_shape("mean", x.shape(), axes);
  check(x.value().numel() > 0, "mean", "{} has nothing to average", x.shape().str());
  const double count = static_cast<double>(x.value().numel() / shapes.kept.numel());
  return scaled_sum(context, "mean", x, shapes, keep_axes, static_cast<float>(1 / count));
}

Variable max_over(const Context& context, const Variable& x, const std::vector<int>& axes,
                  bool keep_axes) {
  const ReducedShape shapes = reduced_shape("max", x.shape(), axes);
  for (const int axis : axes)
    check(x.size(axis) > 0 && x.size(axis) <= kMaxIndexedAxis, "max",
          "axis {} of {} must have 1 to {} elements", axis, x.shape().str(), kMaxIndexedAxis);
  const Timed timed(context, {"max"});
  // The innermost first, so that the first of equal values is the first in memory.
  Shape shape = x.shape();
  Variable y = x;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    if (shapes.kept[axis] == shape[axis]) continue;
    y = max_of_axis(context, y, split_at(shape, axis));
    shape[axis] = 1;
  }
  return reshape(context, y, shapes.of(keep_axes));
}

Variable cumulative_maximum(const Context& context, const Variable& x, int axis) {
  const AxisSplit split = split_at(x.shape(), checked_axis("cumulative_maximum", x.shape(), axis));
  check(split.axis <= kMaxIndexedAxis, "cumulative_maximum", "axis {} of {} is longer than {}",
        axis, x.shape().str(), kMaxIndexedAxis);
  const Timed timed(context, {"cumulative_maximum"});
  const bool recorded = records(context, {&x});
  Tensor y = Tensor::empty(x.shape()), index;
  if (recorded) index = Tensor::empty(x.shape(), DType::i32);
  kernels::cumulative_maximum(context.queue, {.outer = split.outer,
                                              .axis = split.axis,
                                              .inner = split.inner,
                                              .x = x.value().f32(),
                                              .y = y.f32(),
                                              .index = index.data<int32_t>()});
  if (!recorded) return y;
  return context.tape->record("cumulative_maximum", std::move(y), {x},
                              [split, index, slot = x.slot()](Queue& queue, const Tensor& dy) {
                                Tensor dx = Tensor::empty(dy.shape());
                                kernels::cumulative_maximum_backward(
                                    queue, {.outer = split.outer,
                                            .axis = split.axis,
                                            .inner = split.inner,
                                            .index = index.data<int32_t>(),
                                            .dy = dy.f32(),
                                            .dx = dx.f32()});
                                slot->accumulate(queue, std::move(dx));
                              });
}

TopK top_k(const Context& context, const Variable& x, int64_t k) {
  check(x.shape().rank() >= 1, "top_k", "{} has no last axis", x.shape().str());
  check(k >= 0 && k <= x.size(-1), "top_k", "the largest {} of the last axis of {} do not exist", k,
        x.shape().str());
  const Timed timed(context, {"top_k"});
  Shape shape = x.shape();
  shape[-1] = k;
  const int64_t dim = x.size(-1), rows = dim == 0 ? 0 : x.value().numel() / dim;
  Tensor values = Tensor::empty(shape), indices = Tensor::empty(shape, DType::i64);
  kernels::top_k(context.queue, {.rows = rows,
                                 .dim = dim,
                                 .k = k,
                                 .x = x.value().f32(),
                                 .values = values.f32(),
                                 .indices = indices.data<int64_t>()});
  if (!records(context, {&x})) return {values, indices};
  Variable recorded =
      context.tape->record("top_k", std::move(values), {x},
                           [rows, dim, k, shape = x.shape(), slot = x.slot(),
                            saved = SavedTensor(indices)](Queue& queue, const Tensor& dvalues) {
                             Tensor dx = Tensor::empty(shape);
                             kernels::top_k_backward(queue, {.rows = rows,
                                                             .dim = dim,
                                                             .k = k,
                                                             .indices = saved.get().data<int64_t>(),
                                                             .dvalues = dvalues.f32(),
                                                             .dx = dx.f32()});
                             slot->accumulate(queue, std::move(dx));
                           });
  return {std::move(recorded), std::move(indices)};
}

}  // namespace vitrail
