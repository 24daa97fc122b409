// LayerNorm with weight and bias, or RMSNorm with a weight alone: what stands before and behind the
// layers of a transformer.
#pragma once

#include "nn/registry.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"

namespace vitrail {

using kernels::NormKind;

class LayerNorm {
 public:
  // Parameters: weight [dim]; bias [dim] of NormKind::layer.
  LayerNorm(const Scope& scope, int64_t dim, double epsilon, NormKind kind = NormKind::layer)
      : weights_{
            scope.parameter("weight", {dim}, Initializer::constant(1), ParameterRole::Kind::norm),
            kind == NormKind::layer
                ? &scope.parameter("bias", {dim}, Initializer::zeros(), ParameterRole::Kind::norm)
                : nullptr,
            epsilon, kind} {}
  Variable forward(const Context& context, const Variable& x) const {
    return layer_norm(context, x, weights_);
  }
  // x, to be normalised by the projection that reads it.
  LinearInput before(const Variable& x) const { return {x, &weights_}; }

 private:
  LayerNormWeights weights_;
};

}  // namespace vitrail
