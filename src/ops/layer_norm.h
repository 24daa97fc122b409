// Layer normalisation over the last axis (Ba, Kiros and Hinton 2016).
#pragma once

#include "autograd/context.h"
#include "autograd/parameter.h"

namespace vitrail {

// x [..., D]; gamma, beta [D], beta may be null. Statistics are f32 in every precision.
Variable layer_norm(const Context& context, const Variable& x, const Parameter& gamma,
                    const Parameter* beta, double epsilon);

}  // namespace vitrail
