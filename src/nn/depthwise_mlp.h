// The perceptron of a block over a grid, with a depth-wise 3x3 convolution between its layers: it
// tells neighbours apart, so that no other positions are needed (Wang et al., "PVT v2", 2022,
// section 3.3; Xie et al., "SegFormer", 2021, eq. 3).
#pragma once

#include <string>

#include "nn/cost.h"
#include "nn/linear.h"

namespace vitrail {

struct DepthwiseMlpConfig {
  int64_t inputs = 0, hidden = 0;
  bool relu_first = false;  // before the convolution, too (PVT v2 with linear attention)
  kernels::Activation activation = kernels::Activation::gelu;
  double dropout = 0;  // after the activation
};

class DepthwiseMlp {
 public:
  // Parameters: fc1.*, dwconv.{weight [hidden, 1, 3, 3], bias}, fc2.*.
  DepthwiseMlp(const Scope& scope, const DepthwiseMlpConfig& config);
  // [B, height * width, D] to the same; the epilogue rides on fc2.
  Variable forward(const Context& context, const LinearInput& input, int64_t height, int64_t width,
                   const LinearEpilogue& epilogue) const;
  // Over so many tokens.
  LayerCost cost(int64_t tokens) const;

  void visit_linears(const VisitLinear& visit) {
    visit(fc1_);
    visit(fc2_);
  }

 private:
  DepthwiseMlpConfig config_;
  std::string path_;
  LinearSlot fc1_;
  Parameter& weight_;
  Parameter& bias_;
  LinearSlot fc2_;
};

}  // namespace vitrail
