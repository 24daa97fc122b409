#include "train/loss.h"

#include <algorithm>

#include "ops/binary_cross_entropy.h"
#include "ops/softmax_cross_entropy.h"

namespace vitrail {

LossOptions loss_options(const TrainConfig& config) {
  LossOptions options{.label_smoothing = config.label_smoothing,
                      .binary = config.loss == "bce",
                      .threshold = {},
                      .sum_classes = config.bce_sum};
  if (config.bce_threshold >= 0) options.threshold = config.bce_threshold;
  return options;
}

Variable classification_loss(const Context& context, const Variable& logits, const Batch& batch,
                             const LossOptions& options) {
  if (options.binary)
    return binary_cross_entropy(context, logits,
                                batch.targets.defined() ? batch.targets : batch.labels,
                                {.label_smoothing = options.label_smoothing,
                                 .threshold = options.threshold,
                                 .sum_classes = options.sum_classes});
  // Smoothing what was mixed is mixing what was smoothed: both are linear.
  if (batch.targets.defined())
    return soft_cross_entropy(context, logits, batch.targets, options.label_smoothing);
  return softmax_cross_entropy(context, logits, batch.labels, options.label_smoothing);
}

int64_t count_correct(const Tensor& logits, const Tensor& labels) {
  const int64_t classes = logits.size(1);
  int64_t correct = 0;
  for (int64_t i = 0; i < logits.size(0); ++i) {
    const float* row = logits.f32() + i * classes;
    correct += std::max_element(row, row + classes) - row == labels.data<int64_t>()[i];
  }
  return correct;
}

}  // namespace vitrail
