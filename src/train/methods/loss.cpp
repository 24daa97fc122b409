#include "train/methods/loss.h"

#include <algorithm>

#include "core/error.h"
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

NetworkConfig answering_model(const TrainConfig& config) {
  NetworkConfig model = config.model;
  ClassAnswer answer = model.class_answer();
  if (config.method != "supervised" || answer.classes == 0) return model;
  const char* place = "training config";
  check(answer.meaning != Answer::raw, place,
        "answer is raw, the values of a regression: training learns classes alone");
  const bool binary = config.loss == "bce";
  check(binary || answer.meaning == Answer::softmax, place,
        "answer is sigmoid, which loss {} does not teach; set loss=bce", config.loss);
  check(!answer.multi_label || config.label_smoothing == 0, place,
        "label_smoothing is {}; it spreads one class over all, and pictures of several have it 0",
        config.label_smoothing);
  check(!answer.multi_label || config.learning.distillation == "none", place,
        "distillation follows a teacher's one class, and the pictures have several");
  // A teacher is followed by softmax.
  if (binary && config.learning.distillation == "none") answer.meaning = Answer::sigmoid;
  model.set_class_answer(answer);
  return model;
}

Tensor targets_of(const Tensor& labels) {
  Tensor targets = Tensor::empty(labels.shape());
  std::transform(labels.data<int64_t>(), labels.data<int64_t>() + labels.numel(), targets.f32(),
                 [](int64_t label) { return static_cast<float>(label); });
  return targets;
}

Variable classification_loss(const Context& context, const Variable& logits, const Batch& batch,
                             const LossOptions& options) {
  if (options.binary)
    return binary_cross_entropy(context, logits,
                                batch.targets.defined()    ? batch.targets
                                : batch.labels.rank() == 2 ? targets_of(batch.labels)
                                                           : batch.labels,
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
  if (labels.rank() == 2) {
    for (int64_t i = 0; i < logits.size(0); ++i) {
      const float* row = logits.f32() + i * classes;
      const int64_t* there = labels.data<int64_t>() + i * classes;
      correct += std::equal(row, row + classes, there, [](float logit, int64_t label) {
        return (logit >= 0) == (label == 1);
      });
    }
    return correct;
  }
  for (int64_t i = 0; i < logits.size(0); ++i) {
    const float* row = logits.f32() + i * classes;
    correct += std::max_element(row, row + classes) - row == labels.data<int64_t>()[i];
  }
  return correct;
}

}  // namespace vitrail
