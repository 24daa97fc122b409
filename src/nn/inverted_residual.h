// The inverted residual of mobile networks: 1x1 to more channels, a depth-wise convolution, 1x1
// back (Sandler et al. 2018, MobileNet v2, section 3.3). With a stride it halves the map.
#pragma once

#include <array>
#include <string>

#include "nn/cost.h"
#include "nn/normed_convolution.h"

namespace vitrail {

struct InvertedResidualConfig {
  int64_t inputs = 0, hidden = 0, outputs = 0;
  int64_t kernel = 3, stride = 1;  // of the depth-wise one
  kernels::Activation activation = kernels::Activation::silu;
  bool shortcut = false;           // the input is added; it must have the output's shape
  bool activation_behind = false;  // the sum is activated, too (TinyViT)
  double last_gamma = 1;           // what the last norm's weight begins with
  double drop_path = 0;
  // Of the three layers: timm's TinyViT; its MobileViT says conv1_1x1, conv2_kxk, conv3_1x1.
  std::array<const char*, 3> names{"conv1", "conv2", "conv3"};
};

class InvertedResidual {
 public:
  // Parameters: NAME.{conv.weight, bn.*} of each layer. Error: a shortcut that changes the shape.
  InvertedResidual(const Scope& scope, const InvertedResidualConfig& config);
  // x [B, H, W, inputs] to [B, cells(H), cells(W), outputs].
  Variable forward(const Context& context, const Variable& x) const;
  int64_t cells(int64_t pixels) const { return depthwise_.cells(pixels); }
  // Of an input of height x width pixels.
  LayerCost cost(int64_t height, int64_t width) const;
  const std::string& path() const { return path_; }

 private:
  InvertedResidualConfig config_;
  std::string path_;
  NormedConvolution expand_, depthwise_, reduce_;
};

}  // namespace vitrail
