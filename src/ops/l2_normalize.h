// Rows of length one, and weight normalisation.
#pragma once

#include "autograd/context.h"

namespace vitrail {

// x / max(|x|, epsilon) over the last axis, as torch.nn.functional.normalize has it.
Variable l2_normalize(const Context& context, const Variable& x, double epsilon = 1e-12);

// A weight [N, K] as gain v / |v|, row by row (Salimans and Kingma 2016, eq. 2; torch's weight_norm
// with dim 0). v [N, K], gain [N, 1]. Error: shapes that do not fit.
Variable weight_norm(const Context& context, const Variable& v, const Variable& gain);

}  // namespace vitrail
