// The losses of classification, chosen by the run's configuration.
#pragma once

#include <optional>

#include "autograd/context.h"
#include "data/loader.h"
#include "train/config.h"

namespace vitrail {

struct LossOptions {
  double label_smoothing = 0;
  bool binary = false;  // cross-entropy of each class by itself (ops/binary_cross_entropy.h)
  std::optional<double> threshold;
  bool sum_classes = false;
};
LossOptions loss_options(const TrainConfig& config);

// The mean loss of logits [B, C] against the batch's targets or, where it has none, its labels.
// Returns [1].
Variable classification_loss(const Context& context, const Variable& logits, const Batch& batch,
                             const LossOptions& options);

// Rows of logits [B, C] whose highest value is at their label.
int64_t count_correct(const Tensor& logits, const Tensor& labels);

}  // namespace vitrail
