// The losses of classification, chosen by the run's configuration.
#pragma once

#include "autograd/context.h"
#include "data/loader.h"

namespace vitrail {

struct LossOptions {
  double label_smoothing = 0;
};

// The mean loss of logits [B, C] against a batch's targets, or its labels. Returns [1].
Variable classification_loss(const Context& context, const Variable& logits, const Batch& batch,
                             const LossOptions& options);

// Rows of logits [B, C] whose highest value is at their label.
int64_t count_correct(const Tensor& logits, const Tensor& labels);

}  // namespace vitrail
