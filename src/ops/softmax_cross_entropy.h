// Softmax with cross-entropy, the loss of classification; and softmax alone.
#pragma once

#include "autograd/context.h"

namespace vitrail {

// Mean over the batch of -sum_c t_c log softmax(logits)_c. logits [B, C]; labels [B] i64 in [0, C);
// with smoothing s, t = (1 - s) onehot + s / C (Szegedy et al. 2016). Returns [1].
// Error: a label out of range, a shape that does not fit.
Variable softmax_cross_entropy(const Context& context, const Variable& logits, const Tensor& labels,
                               double label_smoothing = 0);
// The same with soft targets [B, C] f32 (mixup, distillation): t = (1 - s) targets + s / C.
Variable soft_cross_entropy(const Context& context, const Variable& logits, const Tensor& targets,
                            double label_smoothing = 0);

// Softmax over an axis; a negative one counts from the end. Error: there is none, or it is empty.
Variable softmax(const Context& context, const Variable& x, int axis = -1);

}  // namespace vitrail
