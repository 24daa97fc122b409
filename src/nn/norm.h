// LayerNorm with weight and bias.
#pragma once

#include "nn/registry.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"

namespace vitrail {

class LayerNorm {
 public:
  LayerNorm(const Scope& scope, int64_t dim, double epsilon)
      : weights_{
            scope.parameter("weight", {dim}, Initializer::constant(1), ParameterRole::Kind::norm),
            &scope.parameter("bias", {dim}, Initializer::zeros(), ParameterRole::Kind::norm),
            epsilon} {}
  Variable forward(const Context& context, const Variable& x) const {
    return layer_norm(context, x, weights_);
  }
  // x, to be normalised by the projection that reads it.
  LinearInput before(const Variable& x) const { return {x, &weights_}; }

 private:
  LayerNormWeights weights_;
};

}  // namespace vitrail
