// Multi-head self-attention (Dosovitskiy et al. 2021, appendix A): one fused projection to q, k and
// v, heads split after it, and the output projection.
#pragma once

#include <optional>
#include <string>

#include "nn/cost.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace vitrail {

struct AttentionConfig {
  int64_t embed_dim = 0, num_heads = 1, head_dim = 0;  // num_heads * head_dim may differ from D
  bool qkv_bias = true, projection = true, projection_bias = true;
  bool qk_norm = false;      // LayerNorm over d of q and k (Dehghani et al. 2023)
  bool output_norm = false;  // LayerNorm over H*d before the output projection
  double epsilon = 1e-6;
  double dropout = 0;
};

class Attention {
 public:
  Attention(const Scope& scope, const AttentionConfig& config);
  // [B, N, D] to [B, N, D]; the output projection applies the epilogue.
  Variable forward(const Context& context, const LinearInput& input,
                   const LinearEpilogue& epilogue) const;
  // Over so many tokens.
  LayerCost cost(int64_t tokens) const;
  int64_t heads() const { return config_.num_heads; }
  const std::string& path() const { return path_; }

  void visit_linears(const VisitLinear& visit) {
    visit(qkv_);
    if (proj_.present()) visit(proj_);
  }

 private:
  AttentionConfig config_;
  std::string path_;
  LinearSlot qkv_;
  std::optional<LayerNorm> q_norm_, k_norm_, norm_;
  LinearSlot proj_;
};

}  // namespace vitrail
