#include "ops/layout.h"

#include <algorithm>

#include "autograd/timing.h"
#include "kernels/copy.h"
#include "kernels/elementwise.h"
#include "ops/axes.h"
#include "ops/broadcast.h"

namespace vitrail {
namespace {

// Elements [begin, begin + size) of one axis alone.
View narrowed(View view, int axis, int64_t begin, int64_t size) {
  view.data = view.as<float>() + begin * view.strides[static_cast<size_t>(axis)];
  view.shape[axis] = size;
  return view;
}

// Copies `from` to `to` with shifts[i..] of the axes: each shift cuts both into two parts.
void copy_rolled(Queue& queue, const View& to, const View& from,
                 std::span<const AxisShift> shifts) {
  if (shifts.empty()) return kernels::copy_strided(queue, to, from);
  const auto [axis, steps] = shifts.front();
  const int64_t size = from.shape[axis], rest = size - steps;
  const auto others = shifts.subspan(1);
  copy_rolled(queue, narrowed(to, axis, steps, rest), narrowed(from, axis, 0, rest), others);
  if (steps > 0)
    copy_rolled(queue, narrowed(to, axis, 0, steps), narrowed(from, axis, rest, steps), others);
}

Tensor rolled(Queue& queue, const Tensor& x, const std::vector<AxisShift>& shifts) {
  Tensor y = Tensor::empty(x.shape());
  if (x.numel() > 0) copy_rolled(queue, y.view(), x.view(), shifts);
  return y;
}

// x with its margins, which may be negative.
Tensor padded(Queue& queue, const Tensor& x, const std::vector<AxisMargin>& margins, float value) {
  Shape shape = x.shape();
  View from = x.view();
  bool grows = false;
  for (const auto& [axis, before, after] : margins) {
    shape[axis] += before + after;
    grows = grows || before > 0 || after > 0;
  }
  Tensor y = Tensor::empty(shape);
  if (grows) kernels::fill(queue, y.numel(), value, y.f32());
  View to = y.view();
  for (const auto& [axis, before, after] : margins) {
    const int64_t skipped = std::max<int64_t>(0, -before);
    const int64_t kept = x.size(axis) - skipped - std::max<int64_t>(0, -after);
    if (kept <= 0) return y;
    from = narrowed(from, axis, skipped, kept);
    to = narrowed(to, axis, std::max<int64_t>(0, before), kept);
  }
  kernels::copy_strided(queue, to, from);
  return y;
}

// Axes counted from the front. Error: one is named twice.
template <typename PerAxis>
void check_axes(const char* place, const Shape& shape, std::vector<PerAxis>& list) {
  for (size_t i = 0; i < list.size(); ++i) {
    list[i].axis = checked_axis(place, shape, list[i].axis);
    for (size_t j = 0; j < i; ++j)
      check(list[j].axis != list[i].axis, place, "axis {} of {} is named twice", list[i].axis,
            shape.str());
  }
}

}  // namespace

Variable expand(const Context& context, const Variable& x, const Shape& shape) {
  check(broadcast_shape("expand", x.shape(), shape) == shape, "expand",
        "{} cannot be repeated to {}", x.shape().str(), shape.str());
  const Timed timed(context, {"expand"});
  Tensor y = expanded(context.queue, x.value(), shape);
  if (!records(context, {&x})) return y;
  return context.tape->record("expand", std::move(y), {x},
                              [from = x.shape(), slot = x.slot()](Queue& queue, const Tensor& dy) {
                                slot->accumulate(queue, summed_to(queue, dy, from));
                              });
}

Variable roll(const Context& context, const Variable& x, const std::vector<AxisShift>& shifts) {
  std::vector<AxisShift> forward = shifts;
  check_axes("roll", x.shape(), forward);
  std::vector<AxisShift> back = forward;
  for (size_t i = 0; i < forward.size(); ++i) {
    const int64_t size = std::max<int64_t>(1, x.size(forward[i].axis));
    forward[i].steps = (forward[i].steps % size + size) % size;
    back[i].steps = (size - forward[i].steps) % size;
  }
  const Timed timed(context, {"roll"});
  Tensor y = rolled(context.queue, x.value(), forward);
  if (!records(context, {&x})) return y;
  return context.tape->record("roll", std::move(y), {x},
                              [back, slot = x.slot()](Queue& queue, const Tensor& dy) {
                                slot->accumulate(queue, rolled(queue, dy, back));
                              });
}

Variable pad(const Context& context, const Variable& x, const std::vector<AxisMargin>& margins,
             float value) {
  std::vector<AxisMargin> forward = margins;
  check_axes("pad", x.shape(), forward);
  std::vector<AxisMargin> back = forward;
  for (AxisMargin& margin : back) {
    check(x.size(margin.axis) + margin.before + margin.after >= 0, "pad",
          "margins of {} and {} take more than axis {} of {} has", margin.before, margin.after,
          margin.axis, x.shape().str());
    margin.before = -margin.before;
    margin.after = -margin.after;
  }
  const Timed timed(context, {"pad"});
  Tensor y = padded(context.queue, x.value(), forward, value);
  if (!records(context, {&x})) return y;
  return context.tape->record("pad", std::move(y), {x},
                              [back, slot = x.slot()](Queue& queue, const Tensor& dy) {
                                slot->accumulate(queue, padded(queue, dy, back, 0));
                              });
}

}  // namespace vitrail
