// Multi-head self-attention (Dosovitskiy et al. 2021, appendix A): one fused projection to q, k and
// v, heads split after it, and the output projection. What positions and windows add to it comes
// with the pass (ops/attention_terms.h).
#pragma once

#include <optional>
#include <string>

#include "nn/cost.h"
#include "nn/differential.h"
#include "nn/head_mixing.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/query_value_linear.h"
#include "ops/attention.h"

namespace vitrail {

struct AttentionConfig {
  int64_t embed_dim = 0, num_heads = 1, head_dim = 0;  // num_heads * head_dim may differ from D
  bool qkv_bias = true, projection = true, projection_bias = true;
  bool qk_norm = false;  // a norm over d of q and k (Dehghani et al. 2023)
  // Which. l2 is cosine attention: the scores are scaled by a learned logarithm of each head,
  // "logit_scale", instead of 1 / sqrt(d) (Liu et al. 2022, Swin v2, eq. 2).
  kernels::HeadNormKind qk_norm_kind = kernels::HeadNormKind::layer;
  bool output_norm = false;         // a norm over H*d before the output projection
  NormKind norm = NormKind::layer;  // of the output
  HeadMixingKind mixing = HeadMixingKind::none;
  double epsilon = 1e-6;
  double dropout = 0;
  bool key_bias = true;       // false: qkv_bias is of q and v alone, "q_bias" and "v_bias"
  bool differential = false;  // nn/differential.h: num_heads differences of two maps
  double first_lambda = 0.8;  // of it
  bool operator==(const AttentionConfig&) const = default;
};

class Attention {
 public:
  Attention(const Scope& scope, const AttentionConfig& config);
  // [B, N, D] to [B, N, D]; the output projection applies the epilogue. `terms`: positions, groups
  // and windows of this pass; the padding of windows is what the projection makes of zeros. Null:
  // none.
  Variable forward(const Context& context, const LinearInput& input, const LinearEpilogue& epilogue,
                   const AttentionOptions* terms = nullptr) const;
  // Over so many tokens, every one a query and a key.
  LayerCost cost(int64_t tokens) const { return cost(tokens, tokens * tokens); }
  // The same where not every query meets every key: so many pairs of them, in windows.
  LayerCost cost(int64_t tokens, int64_t pairs) const;
  // Maps that a probe is given: of differential attention both of each head.
  int64_t heads() const { return (config_.differential ? 2 : 1) * config_.num_heads; }
  const std::string& path() const { return path_; }

  void visit_linears(const VisitLinear& visit) {
    visit(qkv_);
    if (proj_.present()) visit(proj_);
  }

 private:
  struct HeadNormParameters {
    Parameter* weight = nullptr;
    Parameter* bias = nullptr;
  };
  HeadNormParameters head_norm(const Scope& scope) const;
  HeadNormalization normalization(const HeadNormParameters& parameters) const;
  void add_norms(const Context& context, AttentionOptions* options) const;
  // What the projection to q, k and v makes of zeros; undefined: zeros.
  Variable of_zeros(const Context& context) const;
  Variable mix(const Context& context, const Variable& qkv, const AttentionOptions* terms) const;
  Variable differences(const Context& context, const Variable& qkv,
                       const AttentionOptions& options) const;

  AttentionConfig config_;
  std::string path_;
  LinearSlot qkv_;
  const QueryValueLinear* query_value_ = nullptr;  // qkv_, or what an adapter in it is around
  HeadNormParameters q_norm_, k_norm_;
  Parameter* logit_scale_ = nullptr;
  HeadMixer mixer_;
  std::optional<DifferentialAttention> differential_;
  std::optional<LayerNorm> norm_;
  LinearSlot proj_;
};

// Multi-head attention of queries to a memory of another width: q from the one, k and v from the
// other (Vaswani et al. 2017, section 3.2.3).
struct CrossAttentionConfig {
  int64_t embed_dim = 0, memory_dim = 0;  // of queries and of the memory
  int64_t num_heads = 1, head_dim = 0;
  bool bias = true;      // of all projections
  bool qkv_bias = true;  // of those in front, beside `bias`
  HeadMixingKind mixing = HeadMixingKind::none;
  double dropout = 0;
};

class CrossAttention {
 public:
  CrossAttention(const Scope& scope, const CrossAttentionConfig& config);
  // queries [B, Nq, D] and memory [B, Nk, memory_dim] to [B, Nq, D].
  Variable forward(const Context& context, const LinearInput& queries, const LinearInput& memory,
                   const LinearEpilogue& epilogue, const AttentionOptions* terms = nullptr) const;
  LayerCost cost(int64_t queries, int64_t keys) const;
  int64_t heads() const { return config_.num_heads; }
  const std::string& path() const { return path_; }
  void visit_linears(const VisitLinear& visit) {
    for (LinearSlot* slot : {&q_, &kv_, &proj_}) visit(*slot);
  }

 private:
  CrossAttentionConfig config_;
  std::string path_;
  LinearSlot q_, kv_;
  HeadMixer mixer_;
  LinearSlot proj_;
};

}  // namespace vitrail
