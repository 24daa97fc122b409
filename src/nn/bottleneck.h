// A residual block of three convolutions over a grid, the middle one narrow, each with LayerNorm
// over the channels (He et al. 2016, figure 5; Li et al. 2022, "Exploring Plain Vision Transformer
// Backbones for Object Detection", section 3: ViTDet's way of passing information on between
// windows).
#pragma once

#include <string>

#include "nn/cost.h"
#include "nn/norm.h"
#include "ops/activation.h"

namespace vitrail {

struct BottleneckConfig {
  int64_t channels = 0, hidden = 0;
  kernels::Activation activation = kernels::Activation::gelu;  // after the first two norms
  double epsilon = 1e-6;                                       // of the norms
};

class Bottleneck {
 public:
  // Parameters: conv1 [hidden, C, 1, 1], conv2 [hidden, hidden, 3, 3], conv3 [C, hidden, 1, 1],
  // without biases, and norm1 to norm3.
  Bottleneck(const Scope& scope, const BottleneckConfig& config);
  // [B, H, W, C] to the same.
  Variable forward(const Context& context, const Variable& x) const;
  // Over so many cells.
  LayerCost cost(int64_t cells) const;

 private:
  BottleneckConfig config_;
  std::string path_;
  Parameter& conv1_;
  LayerNorm norm1_;
  Parameter& conv2_;
  LayerNorm norm2_;
  Parameter& conv3_;
  LayerNorm norm3_;
};

}  // namespace vitrail
