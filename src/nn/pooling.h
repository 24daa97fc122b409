// Learned pooling of tokens: [B, N, D] to [B, D].
#pragma once

#include "nn/attention.h"
#include "nn/mlp.h"

namespace vitrail {

// Softmax-weighted sum over tokens with weights from one projection (Hassani et al. 2021, eq. 3).
class SequencePool {
 public:
  SequencePool(const Scope& scope, int64_t embed_dim)
      : path_(scope.path()), embed_dim_(embed_dim), attention_(scope, embed_dim, 1) {}
  Variable forward(const Context& context, const Variable& tokens) const;
  // Over so many tokens.
  LayerCost cost(int64_t tokens) const {
    return {.path = path_, .output = {embed_dim_}, .multiply_adds = 2 * tokens * embed_dim_};
  }

 private:
  std::string path_;
  int64_t embed_dim_;
  LinearSlot attention_;
};

// Multi-head attention pooling with one learned query, then a residual MLP (Zhai et al. 2022,
// big_vision's MAP head; timm's AttentionPoolLatent).
struct MapPoolConfig {
  int64_t embed_dim = 0, num_heads = 1, mlp_hidden_dim = 0;
  kernels::Activation activation = kernels::Activation::gelu;
  double epsilon = 1e-6;
  NormKind norm = NormKind::layer;
  bool operator==(const MapPoolConfig&) const = default;
};

class MapPool {
 public:
  MapPool(const Scope& scope, const MapPoolConfig& config);
  Variable forward(const Context& context, const Variable& tokens) const;
  // Over so many tokens.
  LayerCost cost(int64_t tokens) const;

 private:
  MapPoolConfig config_;
  std::string path_;
  Parameter& latent_;
  LinearSlot q_, kv_, proj_;
  LayerNorm norm_;
  Mlp mlp_;
};

}  // namespace vitrail
