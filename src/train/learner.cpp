#include "train/learner.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "ops/softmax_cross_entropy.h"

namespace vitrail {

int64_t count_correct(const Tensor& logits, const Tensor& labels) {
  const int64_t classes = logits.size(1);
  int64_t correct = 0;
  for (int64_t i = 0; i < logits.size(0); ++i) {
    const float* row = logits.f32() + i * classes;
    correct += std::max_element(row, row + classes) - row == labels.data<int64_t>()[i];
  }
  return correct;
}

Learner::Learner(VisionTransformer& model, const LearnerOptions& options)
    : model_(model),
      options_(options),
      plan_(default_plan(options.precision)),
      optimizer_(model.parameters(), options.optimizer) {
  check(options.precision != Precision::int8, "train",
        "int8 has no gradient: train in f32 or bf16");
}

StepResult Learner::step(Queue& queue, const Tensor& images, const Tensor& labels, int64_t step) {
  Tape tape;
  Context context(queue);
  context.tape = &tape;
  if (options_.precision != Precision::f32) context.precision = &plan_;
  context.dropout = true;
  context.random = RandomKey(options_.seed, static_cast<uint64_t>(step));

  model_.parameters().clear_gradients();
  const VitOutput output = model_.forward(context, images);
  const Variable loss =
      softmax_cross_entropy(context, output.logits, labels, options_.label_smoothing);
  StepResult result;
  result.loss = loss.value().f32()[0];
  result.correct = count_correct(output.logits.value(), labels);
  result.learning_rate = options_.schedule.at(step);
  check(std::isfinite(result.loss), "train", "the loss is {} at step {}", result.loss, step);

  tape.backward(queue, loss);
  result.gradient_norm = optimizer_.gradient_norm(queue);
  check(std::isfinite(result.gradient_norm), "train", "the gradient's norm is {} at step {}",
        result.gradient_norm, step);
  optimizer_.step(queue, result.learning_rate,
                  clip_scale(result.gradient_norm, options_.clip_norm));
  model_.parameters().clear_gradients();
  return result;
}

}  // namespace vitrail
