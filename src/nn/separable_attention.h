// Attention of linear cost (Mehta and Rastegari 2022, MobileViT v2, section 3): one score for each
// token, softmax over the tokens, and the sum of the keys so weighted multiplies every value.
#pragma once

#include <string>

#include "nn/cost.h"
#include "nn/linear.h"

namespace vitrail {

struct SeparableAttentionConfig {
  int64_t embed_dim = 0;
  double dropout = 0;  // of the scores
};

class SeparableAttention {
 public:
  // Parameters: qkv_proj.{weight [1 + 2D, D, 1, 1], bias}, out_proj.{weight [D, D, 1, 1], bias}.
  SeparableAttention(const Scope& scope, const SeparableAttentionConfig& config);
  // x [B, P, N, D]: P sequences of N tokens each, which do not mix. The epilogue rides on out_proj.
  Variable forward(const Context& context, const Variable& x, const LinearEpilogue& epilogue) const;
  // Over so many tokens in all.
  LayerCost cost(int64_t tokens) const;

  void visit_linears(const VisitLinear& visit) {
    visit(qkv_);
    visit(out_);
  }

 private:
  SeparableAttentionConfig config_;
  std::string path_;
  LinearSlot qkv_, out_;
};

}  // namespace vitrail
