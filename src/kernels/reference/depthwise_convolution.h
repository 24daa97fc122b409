// Double-precision depth-wise convolution and its gradients, straight from the definition.
#pragma once

#include <vector>

#include "kernels/depthwise_convolution.h"

namespace vitrail::kernels::reference {

// x [B, H, W, C], weight [kh, kw, C], bias [C] or empty; returns [B, OH, OW, C].
std::vector<double> depthwise_convolution(const DepthwiseGeometry& geometry,
                                          const std::vector<double>& x,
                                          const std::vector<double>& weight,
                                          const std::vector<double>& bias);

struct DepthwiseGradients {
  std::vector<double> x, weight, bias;
};
DepthwiseGradients depthwise_gradients(const DepthwiseGeometry& geometry,
                                       const std::vector<double>& x,
                                       const std::vector<double>& weight,
                                       const std::vector<double>& dy);

}  // namespace vitrail::kernels::reference
