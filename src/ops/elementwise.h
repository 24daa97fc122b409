// Arithmetic of tensors, with NumPy's broadcasting: axes are matched from the last one, and sizes
// of 1, or axes that are missing in front, are repeated. A repeated operand's gradient is summed
// over what it was repeated to. Error: shapes that do not fit together.
#pragma once

#include "autograd/context.h"
#include "autograd/parameter.h"

namespace vitrail {

Variable add(const Context& context, const Variable& a, const Variable& b);
Variable subtract(const Context& context, const Variable& a, const Variable& b);
Variable multiply(const Context& context, const Variable& a, const Variable& b);
Variable divide(const Context& context, const Variable& a, const Variable& b);
// factor * x.
Variable scale(const Context& context, const Variable& x, float factor);

// add() where a mistake would go unnoticed: x [B, ..., D] + y [1, ..., D], y repeated over the
// first axis alone (a position embedding).
Variable add_broadcast(const Context& context, const Variable& x, const Variable& y);
// x [..., D] * gamma [D]: LayerScale (Touvron et al. 2021, CaiT, eq. 4).
Variable layer_scale(const Context& context, const Variable& x, const Parameter& gamma);

// Element by element; activations are in ops/activation.h. log is -inf at 0 and NaN below; rsqrt is
// 1 / sqrt(x).
Variable exp(const Context& context, const Variable& x);
Variable log(const Context& context, const Variable& x);
Variable sqrt(const Context& context, const Variable& x);
Variable rsqrt(const Context& context, const Variable& x);

}  // namespace vitrail
