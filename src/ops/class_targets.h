// What the losses of classification ask of their targets. Not for other layers.
#pragma once

#include "autograd/variable.h"
#include "kernels/softmax.h"

namespace vitrail {

// Error: logits are not [B, C]; labels are not i64 [B] within the classes.
void check_labels(const char* place, const Variable& logits, const Tensor& labels);
// Error: targets are not f32 of the logits' shape.
void check_soft_targets(const char* place, const Variable& logits, const Tensor& targets);
// Error: no rows or classes, or smoothing outside [0, 1].
void check_averaged(const char* place, const Variable& logits, double label_smoothing);

// Labels (i64) or soft targets (f32) as the kernels take them.
kernels::CrossEntropyTargets class_targets(const Tensor& targets, double label_smoothing);

}  // namespace vitrail
