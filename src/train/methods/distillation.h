// Distillation: a student learns from labels and from a teacher's answers to the same augmented
// pictures (Hinton et al., "Distilling the knowledge in a neural network", 2015; Touvron et al.,
// "Training data-efficient image transformers & distillation through attention", 2021).
#pragma once

#include <memory>
#include <string>

#include "train/methods/loss.h"
#include "train/methods/method.h"
#include "train/methods/teacher.h"

namespace vitrail {

enum class DistillationKind : uint8_t {
  soft,  // (1 - a) L + a T^2 KL(softmax(teacher / T) || softmax(student / T))      (eq. 2)
  hard,  // (1 - a) L + a CE(student, argmax of the teacher)                        (eq. 3)
};
// Error: neither "soft" nor "hard".
DistillationKind distillation_from_name(const std::string& name);

struct DistillationOptions {
  DistillationKind kind = DistillationKind::soft;
  double alpha = 0.5;      // a: the teacher's share
  double temperature = 3;  // T, of soft distillation
};

// Error: a teacher whose answers this cannot follow: soft distillation compares softmaxes, and both
// kinds ask for one class a picture.
void check_teacher(const Teacher& teacher, DistillationKind kind);

// The divergence is a mean over pictures, as the paper has it (DeiT's code divides by the number of
// classes besides). A student with a distillation token learns the labels at the class token's head
// and the teacher at head_dist; any other learns both at its only head.
class DistillationMethod : public Method {
 public:
  // The model must outlive the method. Error: an option out of range.
  DistillationMethod(Network& model, const LossOptions& loss, const DistillationOptions& options,
                     std::unique_ptr<Teacher> teacher);

  Network& model() override { return model_; }
  ParameterRegistry& parameters() override { return model_.parameters(); }
  MethodLoss forward(Context& context, const Batch& batch, const StepNumbers& numbers) override;

 private:
  Network& model_;
  LossOptions loss_;
  DistillationOptions options_;
  std::unique_ptr<Teacher> teacher_;
};

// The distillation's part of the loss alone, without alpha: logits and teacher [B, C]. Returns [1].
Variable distillation_loss(const Context& context, const Variable& logits, const Tensor& teacher,
                           const DistillationOptions& options);

}  // namespace vitrail
