#include "ops/softmax_cross_entropy.h"

#include <numeric>
#include <vector>

#include "autograd/timing.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "ops/axes.h"
#include "ops/class_targets.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr const char* kCrossEntropy = "softmax_cross_entropy";

// `targets` holds i64 labels or f32 soft targets.
Variable cross_entropy(const Context& context, const Variable& logits, const Tensor& targets,
                       double label_smoothing) {
  const int64_t rows = logits.size(0), classes = logits.size(1);
  check_averaged(kCrossEntropy, logits, label_smoothing);
  const auto described = [label_smoothing](const Tensor& kept) {
    return class_targets(kept, label_smoothing);
  };
  const bool recorded = records(context, {&logits});
  Tensor probabilities;
  if (recorded) probabilities = Tensor::empty(logits.shape());
  const Tensor losses = Tensor::empty({rows});
  kernels::softmax_cross_entropy(context.queue, {.rows = rows,
                                                 .classes = classes,
                                                 .logits = logits.value().f32(),
                                                 .targets = described(targets),
                                                 .loss = losses.f32(),
                                                 .probabilities = probabilities.f32()});
  Tensor mean = Tensor::empty({1});
  kernels::mean_axis(context.queue,
                     {.outer = 1, .axis = rows, .inner = 1, .x = losses.f32(), .out = mean.f32()});
  if (!recorded) return mean;
  return context.tape->record(
      kCrossEntropy, std::move(mean), {logits},
      [described, rows, classes, slot = logits.slot(), targets_saved = SavedTensor(targets),
       probabilities](Queue& queue, const Tensor& dy) {
        const Tensor dloss = Tensor::empty({rows});
        kernels::mean_axis_backward(
            queue, {.outer = 1, .axis = rows, .inner = 1, .dy = dy.f32(), .dx = dloss.f32()});
        Tensor dlogits = Tensor::empty({rows, classes});
        kernels::softmax_cross_entropy_backward(queue, {.rows = rows,
                                                        .classes = classes,
                                                        .probabilities = probabilities.f32(),
                                                        .targets = described(targets_saved.get()),
                                                        .dloss = dloss.f32(),
                                                        .dlogits = dlogits.f32()});
        slot->accumulate(queue, std::move(dlogits));
      });
}

}  // namespace

Variable softmax_cross_entropy(const Context& context, const Variable& logits, const Tensor& labels,
                               double label_smoothing) {
  check_labels(kCrossEntropy, logits, labels);
  return cross_entropy(context, logits, labels, label_smoothing);
}

Variable soft_cross_entropy(const Context& context, const Variable& logits, const Tensor& targets,
                            double label_smoothing) {
  check_soft_targets(kCrossEntropy, logits, targets);
  return cross_entropy(context, logits, targets, label_smoothing);
}

Variable softmax(const Context& context, const Variable& x, int axis) {
  axis = checked_axis("softmax", x.shape(), axis);
  check(x.size(axis) > 0, "softmax", "axis {} of {} is empty", axis, x.shape().str());
  const int last = x.shape().rank() - 1;
  if (axis != last) {
    std::vector<int> order(static_cast<size_t>(last) + 1);
    std::iota(order.begin(), order.end(), 0);
    std::swap(order[static_cast<size_t>(axis)], order.back());
    return permute(context, softmax(context, permute(context, x, order)), order);
  }
  const int64_t classes = x.size(-1), rows = x.value().numel() / classes;
  const Timed timed(context, {"softmax"});
  Tensor y = Tensor::empty(x.shape());
  kernels::softmax(context.queue,
                   {.rows = rows, .classes = classes, .x = x.value().f32(), .y = y.f32()});
  if (!records(context, {&x})) return y;
  return context.tape->record(
      "softmax", y, {x},
      [rows, classes, slot = x.slot(), saved = SavedTensor(y)](Queue& queue, const Tensor& dy) {
        Tensor dx = Tensor::empty(dy.shape());
        kernels::softmax_backward(queue, {.rows = rows,
                                          .classes = classes,
                                          .y = saved.get().f32(),
                                          .dy = dy.f32(),
                                          .dx = dx.f32()});
        slot->accumulate(queue, std::move(dx));
      });
}

}  // namespace vitrail
