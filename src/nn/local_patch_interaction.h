// Local patch interaction (El-Nouby et al. 2021, XCiT, section 3.3): neighbours of a grid are mixed
// by two depth-wise 3x3 convolutions, with an activation and batch normalisation between them.
#pragma once

#include <string>

#include "nn/batch_norm.h"
#include "nn/cost.h"
#include "ops/convolution.h"
#include "ops/linear.h"

namespace vitrail {

class LocalPatchInteraction {
 public:
  // Parameters: conv1.{weight [D, 1, 3, 3], bias}, bn.*, conv2.*.
  LocalPatchInteraction(const Scope& scope, int64_t embed_dim, kernels::Activation activation);
  // [B, height * width, D] to the same, then the epilogue.
  Variable forward(const Context& context, const Variable& x, int64_t height, int64_t width,
                   const LinearEpilogue& epilogue) const;
  LayerCost cost(int64_t tokens) const;

 private:
  struct Convolution {
    Parameter& weight;
    Parameter& bias;
    Variable run(const Context& context, const Variable& grid) const;
  };
  static Convolution make(const Scope& scope, int64_t embed_dim);

  int64_t embed_dim_;
  kernels::Activation activation_;
  std::string path_;
  Convolution conv1_;
  BatchNorm norm_;
  Convolution conv2_;
};

}  // namespace vitrail
