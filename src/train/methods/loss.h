// The losses of classification, chosen by the run's configuration.
#pragma once

#include <optional>

#include "autograd/context.h"
#include "data/loader.h"
#include "train/run/config.h"

namespace vitrail {

struct LossOptions {
  double label_smoothing = 0;
  bool binary = false;  // cross-entropy of each class by itself (ops/binary_cross_entropy.h)
  std::optional<double> threshold;
  bool sum_classes = false;
};
LossOptions loss_options(const TrainConfig& config);

// What a model that learns with this configuration answers: sigmoids where each class is a question
// of its own, by the loss or the labels. Error: the model is to mean something else.
NetworkConfig answering_model(const TrainConfig& config);

// Labels of several classes a picture, [B, C] of 0 and 1, as targets [B, C] f32.
Tensor targets_of(const Tensor& labels);

// The mean loss of logits [B, C] against the batch's targets or, where it has none, its labels.
// Returns [1].
Variable classification_loss(const Context& context, const Variable& logits, const Batch& batch,
                             const LossOptions& options);

// Rows of logits [B, C] whose highest value is at their label; of labels [B, C] those that are
// above 0 just where a label is.
int64_t count_correct(const Tensor& logits, const Tensor& labels);

}  // namespace vitrail
