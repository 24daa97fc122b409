// Layer normalisation over the last axis (Ba, Kiros and Hinton 2016).
#pragma once

#include "autograd/context.h"
#include "autograd/parameter.h"

namespace vitrail {

// gamma and beta [D]; beta may be null.
struct LayerNormWeights {
  const Parameter& gamma;
  const Parameter* beta = nullptr;
  double epsilon = 1e-6;
};

// x [..., D]. Statistics are f32 in every precision. Error: the weights are not as long as x's
// rows.
Variable layer_norm(const Context& context, const Variable& x, const LayerNormWeights& weights);

}  // namespace vitrail
