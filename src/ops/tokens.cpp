#include "ops/tokens.h"

#include <array>
#include <vector>

#include "autograd/timing.h"
#include "kernels/copy.h"
#include "kernels/reduce.h"
#include "kernels/weighted_sum.h"

namespace vitrail {
namespace {

// Elements [begin, begin + shape[axis]) of `whole` along `axis`.
View part_of(const Tensor& whole, int axis, int64_t begin, const Shape& shape) {
  View view = whole.view();
  view.data = whole.f32() + begin * view.strides[axis];
  view.shape = shape;
  return view;
}

View permuted(const Tensor& tensor, std::span<const int> order) {
  const View from = tensor.view();
  View to = from;
  for (size_t i = 0; i < order.size(); ++i) {
    to.shape[static_cast<int>(i)] = from.shape[order[i]];
    to.strides[i] = from.strides[order[i]];
  }
  return to;
}

Tensor permuted_copy(Queue& queue, const Tensor& tensor, std::span<const int> order) {
  const View from = permuted(tensor, order);
  Tensor copy = Tensor::empty(from.shape);
  kernels::copy_strided(queue, copy.view(), from);
  return copy;
}

// The part of `dy` that belongs to one operand of a concatenation, summed over the batch when the
// operand was repeated.
Tensor part_gradient(Queue& queue, const Tensor& dy, int axis, int64_t begin, Shape shape) {
  const bool repeated = axis != 0 && shape[0] == 1 && dy.size(0) > 1;
  Shape spread = shape;
  if (repeated) spread[0] = dy.size(0);
  Tensor part = Tensor::empty(spread);
  kernels::copy_strided(queue, part.view(), part_of(dy, axis, begin, spread));
  if (!repeated) return part;
  Tensor sum = Tensor::zeros(shape);
  kernels::sum_rows(queue, {.rows = spread[0],
                            .dim = sum.numel(),
                            .x = part.f32(),
                            .x_stride = sum.numel(),
                            .out = sum.f32()});
  return sum;
}

}  // namespace

Variable reshape(const Context& context, const Variable& x, const Shape& shape) {
  Tensor y = x.value().reshape(shape);
  if (!records(context, {&x})) return y;
  return context.tape->record("reshape", std::move(y), {x},
                              [slot = x.slot(), from = x.shape()](Queue& queue, const Tensor& dy) {
                                slot->accumulate(queue, dy.reshape(from));
                              });
}

Variable permute(const Context& context, const Variable& x, std::span<const int> order) {
  const int rank = x.shape().rank();
  check(static_cast<int>(order.size()) == rank, "permute", "an order of {} axes does not fit {}",
        order.size(), x.shape().str());
  std::array<int, Shape::kMaxRank> inverse{};
  inverse.fill(-1);
  for (int i = 0; i < rank; ++i) {
    check(order[i] >= 0 && order[i] < rank && inverse[order[i]] < 0, "permute",
          "axis {} must name each of {} axes once", order[i], rank);
    inverse[order[i]] = i;
  }
  const Timed timed(context, {"permute"});
  Tensor y = permuted_copy(context.queue, x.value(), order);
  if (!records(context, {&x})) return y;
  return context.tape->record(
      "permute", std::move(y), {x},
      [slot = x.slot(), inverse, rank](Queue& queue, const Tensor& dy) {
        slot->accumulate(
            queue, permuted_copy(queue, dy, std::span(inverse.data(), static_cast<size_t>(rank))));
      });
}

Variable concatenate(const Context& context, std::span<const Variable> parts, int axis) {
  check(!parts.empty(), "concatenate", "there is nothing to join");
  Shape shape = parts[0].shape();
  check(axis >= 0 && axis < shape.rank(), "concatenate", "{} has no axis {}", shape.str(), axis);
  shape[axis] = 0;
  for (const Variable& part : parts) {
    check(part.shape().rank() == shape.rank(), "concatenate", "{} and {} differ in rank",
          parts[0].shape().str(), part.shape().str());
    if (axis != 0 && part.size(0) != 1) shape[0] = part.size(0);
    shape[axis] += part.size(axis);
  }
  for (const Variable& part : parts)
    for (int i = 0; i < shape.rank(); ++i)
      check(i == axis || part.size(i) == shape[i] || (i == 0 && part.size(0) == 1), "concatenate",
            "{} does not fit beside {} along axis {}", part.shape().str(), parts[0].shape().str(),
            axis);

  const Timed timed(context, {"concatenate"});
  Tensor y = Tensor::empty(shape);
  bool recorded = false;
  int64_t begin = 0;
  for (const Variable& part : parts) {
    View from = part.value().view();
    if (from.shape[0] != shape[0] && axis != 0) {
      from.shape[0] = shape[0];
      from.strides[0] = 0;
    }
    kernels::copy_strided(context.queue, part_of(y, axis, begin, from.shape), from);
    begin += part.size(axis);
    recorded = recorded || records(context, {&part});
  }
  if (!recorded) return y;

  struct Part {
    std::shared_ptr<GradientSlot> slot;
    Shape shape;
  };
  std::vector<Part> kept;
  for (const Variable& part : parts) kept.push_back({part.slot(), part.shape()});
  return context.tape->record(
      "concatenate", std::move(y), parts, [kept, axis](Queue& queue, const Tensor& dy) {
        int64_t at = 0;
        for (const Part& part : kept) {
          if (part.slot)
            part.slot->accumulate(queue, part_gradient(queue, dy, axis, at, part.shape));
          at += part.shape[axis];
        }
      });
}

Variable slice(const Context& context, const Variable& x, int axis, int64_t begin, int64_t end) {
  check(axis >= 0 && axis < x.shape().rank(), "slice", "{} has no axis {}", x.shape().str(), axis);
  check(begin >= 0 && begin <= end && end <= x.size(axis), "slice",
        "[{}, {}) is not inside axis {} of {}", begin, end, axis, x.shape().str());
  const Timed timed(context, {"slice"});
  Shape shape = x.shape();
  shape[axis] = end - begin;
  Tensor y = Tensor::empty(shape);
  kernels::copy_strided(context.queue, y.view(), part_of(x.value(), axis, begin, shape));
  if (!records(context, {&x})) return y;
  return context.tape->record(
      "slice", std::move(y), {x},
      [slot = x.slot(), whole = x.shape(), axis, begin](Queue& queue, const Tensor& dy) {
        const Tensor dx = slot->accumulator(whole);
        kernels::add_strided(queue, part_of(dx, axis, begin, dy.shape()), dy.view());
      });
}

Variable mean_tokens(const Context& context, const Variable& x) {
  check(x.shape().rank() == 3 && x.size(1) > 0, "mean_tokens", "{} must be [B, N, D] with N > 0",
        x.shape().str());
  const int64_t batch = x.size(0), tokens = x.size(1), dim = x.size(2);
  const Timed timed(context, {"mean_tokens"});
  Tensor y = Tensor::empty({batch, dim});
  kernels::mean_axis(
      context.queue,
      {.outer = batch, .axis = tokens, .inner = dim, .x = x.value().f32(), .out = y.f32()});
  if (!records(context, {&x})) return y;
  return context.tape->record(
      "mean_tokens", std::move(y), {x},
      [batch, tokens, dim, slot = x.slot()](Queue& queue, const Tensor& dy) {
        Tensor dx = Tensor::empty({batch, tokens, dim});
        kernels::mean_axis_backward(
            queue, {.outer = batch, .axis = tokens, .inner = dim, .dy = dy.f32(), .dx = dx.f32()});
        slot->accumulate(queue, std::move(dx));
      });
}

Variable weighted_sum(const Context& context, const Variable& weights, const Variable& x) {
  check(x.shape().rank() == 3 && weights.shape() == Shape{x.size(0), x.size(1)}, "weighted_sum",
        "weights {} do not fit tokens {}: [B, N] and [B, N, D] are wanted", weights.shape().str(),
        x.shape().str());
  const int64_t batch = x.size(0), tokens = x.size(1), dim = x.size(2);
  const Timed timed(context, {"weighted_sum", {}, batch * tokens * dim, Precision::f32});
  Tensor y = Tensor::empty({batch, dim});
  kernels::weighted_sum(context.queue, {.outer = batch,
                                        .axis = tokens,
                                        .inner = dim,
                                        .weights = weights.value().f32(),
                                        .x = x.value().f32(),
                                        .out = y.f32()});
  if (!records(context, {&weights, &x})) return y;
  return context.tape->record("weighted_sum", std::move(y), {weights, x},
                              [batch, tokens, dim, weights_slot = weights.slot(), x_slot = x.slot(),
                               weights_saved = SavedTensor(weights.value()),
                               x_saved = SavedTensor(x.value())](Queue& queue, const Tensor& dy) {
                                Tensor dweights, dx;
                                if (weights_slot) dweights = Tensor::empty({batch, tokens});
                                if (x_slot) dx = Tensor::empty({batch, tokens, dim});
                                kernels::weighted_sum_backward(
                                    queue, {.outer = batch,
                                            .axis = tokens,
                                            .inner = dim,
                                            .weights = weights_saved.get().f32(),
                                            .x = x_saved.get().f32(),
                                            .dy = dy.f32(),
                                            .dweights = dweights.f32(),
                                            .dx = dx.f32()});
                                if (weights_slot)
                                  weights_slot->accumulate(queue, std::move(dweights));
                                if (x_slot) x_slot->accumulate(queue, std::move(dx));
                              });
}

}  // namespace vitrail
