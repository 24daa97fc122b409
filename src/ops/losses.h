// Losses of distillation and of reconstruction.
#pragma once

#include "autograd/context.h"

namespace vitrail {

// T^2 KL(softmax(teacher / T) || softmax(logits / T)), the mean over the batch (Hinton et al. 2015,
// section 2; Touvron et al. 2021, eq. 2). Both [B, C]; the teacher's are constants. Returns [1].
// Error: shapes that differ, a temperature that is not above 0.
Variable kl_divergence(const Context& context, const Variable& logits, const Tensor& teacher,
                       double temperature);

// Mean of (x - target)^2 over all elements; the target is a constant. Returns [1].
// Error: shapes that differ, nothing to average.
Variable mean_squared_error(const Context& context, const Variable& x, const Tensor& target);

}  // namespace vitrail
