// LayerNorm with weight and bias.
#pragma once

#include "nn/registry.h"
#include "ops/layer_norm.h"

namespace vitrail {

class LayerNorm {
 public:
  LayerNorm(const Scope& scope, int64_t dim, double epsilon)
      : weight_(scope.parameter("weight", {dim}, Initializer::constant(1))),
        bias_(scope.parameter("bias", {dim}, Initializer::zeros())),
        epsilon_(epsilon) {}
  Variable forward(const Context& context, const Variable& x) const {
    return layer_norm(context, x, weight_, &bias_, epsilon_);
  }

 private:
  Parameter& weight_;
  Parameter& bias_;
  double epsilon_;
};

}  // namespace vitrail
