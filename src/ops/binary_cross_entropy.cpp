#include "ops/binary_cross_entropy.h"

#include "autograd/timing.h"
#include "kernels/binary_cross_entropy.h"
#include "kernels/reduce.h"
#include "ops/class_targets.h"

namespace vitrail {
namespace {

constexpr const char* kPlace = "binary_cross_entropy";

kernels::BinaryTargets described(const Tensor& targets, const BinaryLossOptions& options) {
  return {.targets = class_targets(targets, options.label_smoothing),
          .binarize = options.threshold.has_value(),
          .threshold = static_cast<float>(options.threshold.value_or(0))};
}

}  // namespace

Variable binary_cross_entropy(const Context& context, const Variable& logits, const Tensor& targets,
                              const BinaryLossOptions& options) {
  if (targets.dtype() == DType::i64)
    check_labels(kPlace, logits, targets);
  else
    check_soft_targets(kPlace, logits, targets);
  check_averaged(kPlace, logits, options.label_smoothing);
  const int64_t rows = logits.size(0), classes = logits.size(1);
  const Timed timed(context, {kPlace});
  const Tensor losses = Tensor::empty({rows});
  kernels::binary_cross_entropy(context.queue, {.rows = rows,
                                                .classes = classes,
                                                .logits = logits.value().f32(),
                                                .targets = described(targets, options),
                                                .loss = losses.f32()});
  const float share = options.sum_classes ? 1.0f : 1.0f / static_cast<float>(classes);
  Tensor mean = Tensor::empty({1});
  kernels::mean_axis(context.queue,
                     {.outer = 1, .axis = rows, .inner = 1, .x = losses.f32(), .out = mean.f32()});
  mean.f32()[0] *= share;
  if (!records(context, {&logits})) return mean;
  return context.tape->record(
      kPlace, std::move(mean), {logits},
      [rows, classes, share, options, slot = logits.slot(), saved = SavedTensor(logits.value()),
       targets_saved = SavedTensor(targets)](Queue& queue, const Tensor& dy) {
        const Tensor dloss = Tensor::empty({rows});
        kernels::mean_axis_backward(
            queue, {.outer = 1, .axis = rows, .inner = 1, .dy = dy.f32(), .dx = dloss.f32()});
        Tensor dlogits = Tensor::empty({rows, classes});
        kernels::binary_cross_entropy_backward(queue,
                                               {.rows = rows,
                                                .classes = classes,
                                                .logits = saved.get().f32(),
                                                .targets = described(targets_saved.get(), options),
                                                .dloss = dloss.f32(),
                                                .scale = share,
                                                .dlogits = dlogits.f32()});
        slot->accumulate(queue, std::move(dlogits));
      });
}

}  // namespace vitrail
