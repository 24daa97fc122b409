// Differential attention (Ye et al. 2024, "Differential Transformer", eq. 1 to 3): what a second
// map of each head attends to is taken away from what the first one does,
//
//   (softmax(q1 k1^T / sqrt(d/2)) - lambda softmax(q2 k2^T / sqrt(d/2))) v
//
// with q = [q1 | q2] and k = [k1 | k2] of each head, d wide as v is; then RMSNorm of each head.
#pragma once

#include "nn/registry.h"
#include "ops/attention.h"
#include "ops/layer_norm.h"

namespace vitrail {

struct DifferentialConfig {
  int64_t num_heads = 1, head_dim = 0;  // of v; q1, q2, k1 and k2 are half as wide
  double first_lambda = 0.8;            // lambda_init, which grows with the depth (section 2.1)
};

class DifferentialAttention {
 public:
  // Parameters lambda_{q1,k1,q2,k2} [d/2] and sub_norm.weight [d]. Error: an odd head_dim.
  DifferentialAttention(const Scope& scope, const DifferentialConfig& config);

  struct HeadNorms {  // over the d/2 values of a map; null: none
    const LayerNormWeights* q = nullptr;
    const LayerNormWeights* k = nullptr;
  };
  // qkv [B, N, 3*H*d] to [B, N, H*d]. To a probe it is an attention of 2*H heads: both maps of each
  // head, side by side.
  Variable forward(const Context& context, const Variable& qkv, const HeadNorms& norms,
                   const AttentionOptions& options) const;

 private:
  Variable lambda(const Context& context) const;
  DifferentialConfig config_;
  Parameter& q1_;
  Parameter& k1_;
  Parameter& q2_;
  Parameter& k2_;
  Parameter& sub_norm_;
};

}  // namespace vitrail
