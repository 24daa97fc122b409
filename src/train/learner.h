// Learner: one training step, from a batch to changed weights.
#pragma once

#include "core/precision.h"
#include "models/vit.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace vitrail {

struct LearnerOptions {
  AdamWOptions optimizer;
  Schedule schedule;
  double clip_norm = 1;  // 0: no clipping
  double label_smoothing = 0;
  uint64_t seed = 0;  // of dropout and drop-path
  // Of the products and attention, forward and backward: f32 or bf16. Weights, sums, gradients and
  // the optimizer's moments are f32 in both.
  Precision precision = Precision::f32;
};

struct StepResult {
  double loss = 0;           // before the update
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;
  int64_t correct = 0;  // pictures whose highest logit is their label's
};

class Learner {
 public:
  // The model must outlive the learner, and have values. Error: the precision is int8.
  Learner(VisionTransformer& model, const LearnerOptions& options);

  // images [B, C, H, W] f32, labels [B] i64; `step` counts from 0 and fixes learning rate and
  // random numbers. Error: the loss or a gradient is not finite; the weights are then unchanged.
  StepResult step(Queue& queue, const Tensor& images, const Tensor& labels, int64_t step);

  AdamW& optimizer() { return optimizer_; }

 private:
  VisionTransformer& model_;
  LearnerOptions options_;
  PrecisionPlan plan_;
  AdamW optimizer_;
};

// Rows of logits [B, C] whose highest value is at their label.
int64_t count_correct(const Tensor& logits, const Tensor& labels);

}  // namespace vitrail
