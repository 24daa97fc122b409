#include "train/methods/distillation.h"

#include <algorithm>

#include "core/error.h"
#include "models/answer.h"
#include "ops/elementwise.h"
#include "ops/losses.h"
#include "ops/softmax_cross_entropy.h"

namespace vitrail {
namespace {

constexpr const char* kDistillation = "distillation";

Tensor highest_classes(const Tensor& logits) {
  const int64_t rows = logits.size(0), classes = logits.size(1);
  Tensor labels = Tensor::empty({rows}, DType::i64);
  for (int64_t row = 0; row < rows; ++row) {
    const float* first = logits.f32() + row * classes;
    labels.data<int64_t>()[row] = std::max_element(first, first + classes) - first;
  }
  return labels;
}

}  // namespace

DistillationKind distillation_from_name(const std::string& name) {
  if (name == "soft") return DistillationKind::soft;
  if (name == "hard") return DistillationKind::hard;
  fail(kDistillation, "distillation is '{}'; it must be none, soft or hard", name);
}

void check_teacher(const Teacher& teacher, DistillationKind kind) {
  const ClassAnswer answer = teacher.model().network->class_answer();
  refuse_regression(answer, kDistillation, "a student follows classes");
  check(!asks_each_class(answer), kDistillation,
        "the teacher {} answers with {}, and a student follows one class a picture",
        teacher.model().name, described(answer));
  check(answer.meaning == Answer::softmax || kind == DistillationKind::hard, kDistillation,
        "the teacher {} answers with {}, and soft distillation compares softmaxes; follow its best "
        "class with distillation=hard",
        teacher.model().name, described(answer));
}

Variable distillation_loss(const Context& context, const Variable& logits, const Tensor& teacher,
                           const DistillationOptions& options) {
  if (options.kind == DistillationKind::hard)
    return softmax_cross_entropy(context, logits, highest_classes(teacher));
  return kl_divergence(context, logits, teacher, options.temperature);
}

DistillationMethod::DistillationMethod(Network& model, const LossOptions& loss,
                                       const DistillationOptions& options,
                                       std::unique_ptr<Teacher> teacher)
    : model_(model), loss_(loss), options_(options), teacher_(std::move(teacher)) {
  check(options.alpha >= 0 && options.alpha <= 1, kDistillation,
        "distillation_alpha is {}; it must lie between 0 and 1", options.alpha);
  check(options.temperature > 0, kDistillation,
        "distillation_temperature is {}; it must be above 0", options.temperature);
}

MethodLoss DistillationMethod::forward(Context& context, const Batch& batch, const StepNumbers&) {
  const Tensor teacher = teacher_->logits(context.queue, batch.images);
  const NetworkOutput output = model_.forward(context, batch.images);
  const bool token = output.distillation_logits.defined();
  const Variable& from_labels = token ? output.class_logits : output.logits;
  const Variable& from_teacher = token ? output.distillation_logits : output.logits;
  const Variable base = classification_loss(context, from_labels, batch, loss_);
  const Variable distilled = distillation_loss(context, from_teacher, teacher, options_);
  const auto share = static_cast<float>(options_.alpha);
  return {.loss = add(context, scale(context, base, 1 - share), scale(context, distilled, share)),
          .correct = count_correct(output.logits.value(), batch.labels)};
}

}  // namespace vitrail
