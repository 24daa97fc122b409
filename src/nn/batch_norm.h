// Batch normalisation with its weights and running statistics.
#pragma once

#include "nn/registry.h"
#include "ops/batch_norm.h"

namespace vitrail {

class BatchNorm {
 public:
  // Parameters: weight, bias, and the buffers running_mean and running_var, all [C].
  BatchNorm(const Scope& scope, int64_t channels, double epsilon = 1e-5)
      : weights_{
            scope.parameter("weight", {channels}, Initializer::constant(1),
                            ParameterRole::Kind::norm),
            scope.parameter("bias", {channels}, Initializer::zeros(), ParameterRole::Kind::norm),
            scope.buffer("running_mean", {channels}, Initializer::zeros()),
            scope.buffer("running_var", {channels}, Initializer::constant(1)), epsilon} {}
  // x [B, ..., C].
  Variable forward(const Context& context, const Variable& x,
                   const NormEpilogue& epilogue = {}) const {
    return batch_norm(context, x, weights_, epilogue);
  }

 private:
  BatchNormWeights weights_;
};

}  // namespace vitrail
