// Cross-covariance attention (El-Nouby et al. 2021, XCiT, section 3.2): one fused projection to q,
// k and v, each head's channels mixed by a temperature that it has learned, and the output
// projection.
#pragma once

#include <string>

#include "nn/cost.h"
#include "nn/linear.h"

namespace vitrail {

struct ChannelAttentionConfig {
  int64_t embed_dim = 0, num_heads = 1;
  bool qkv_bias = true;
  double dropout = 0;
};

class ChannelAttention {
 public:
  // Parameters: temperature [H, 1, 1], qkv.*, proj.*.
  ChannelAttention(const Scope& scope, const ChannelAttentionConfig& config);
  // [B, N, D] to the same; the epilogue rides on the output projection.
  Variable forward(const Context& context, const LinearInput& input,
                   const LinearEpilogue& epilogue) const;
  LayerCost cost(int64_t tokens) const;
  void visit_linears(const VisitLinear& visit) {
    visit(qkv_);
    visit(proj_);
  }

 private:
  ChannelAttentionConfig config_;
  std::string path_;
  Parameter& temperature_;
  LinearSlot qkv_, proj_;
};

}  // namespace vitrail
