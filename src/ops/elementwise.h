// Sums and products of tensors.
#pragma once

#include "autograd/context.h"
#include "autograd/parameter.h"

namespace vitrail {

// a + b, one shape.
Variable add(const Context& context, const Variable& a, const Variable& b);
// factor * x.
Variable scale(const Context& context, const Variable& x, float factor);
// x [B, ..., D] + y [1, ..., D]: y is repeated over the first axis (a position embedding).
Variable add_broadcast(const Context& context, const Variable& x, const Variable& y);
// x [..., D] * gamma [D]: LayerScale (Touvron et al. 2021, CaiT, eq. 4).
Variable layer_scale(const Context& context, const Variable& x, const Parameter& gamma);

}  // namespace vitrail
