// Binary cross-entropy with logits: each class is asked about by itself.
#pragma once

#include <optional>

#include "autograd/context.h"

namespace vitrail {

struct BinaryLossOptions {
  double label_smoothing = 0;       // s: t = (1 - s) t + s / C
  std::optional<double> threshold;  // then targets above it become 1, all others 0
  bool sum_classes = false;         // the loss of a picture is the sum over classes, not the mean
};

// Mean over the batch of the mean (or sum) over classes of
// -t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)), as timm's BinaryCrossEntropy. logits x [B, C];
// targets: labels [B] i64, or soft targets [B, C] f32, which need not sum to 1. Returns [1].
// Error: targets of another shape, a label out of range.
Variable binary_cross_entropy(const Context& context, const Variable& logits, const Tensor& targets,
                              const BinaryLossOptions& options = {});

}  // namespace vitrail
