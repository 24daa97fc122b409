// The first block of a stage: tokens become wider and, where it pools, fewer. Queries are pooled by
// their maximum over squares of the grid, keys and values are not; the residual is pooled alike
// (Ryali et al. 2023, "Hiera", section 3; Fan et al. 2021, MViT, section 3.1).
#pragma once

#include <string>

#include "nn/cost.h"
#include "nn/linear.h"
#include "nn/mlp.h"
#include "nn/norm.h"
#include "ops/attention.h"

namespace vitrail {

struct PoolingBlockConfig {
  int64_t inputs = 0, outputs = 0;  // widths of a token
  int64_t num_heads = 1;
  int64_t stride = 2;  // side of a square that becomes one token; 1: the grid stays
  // What the residual is made of: a projection of the normalised tokens, of which the maximum is
  // taken; or else maximum and mean of the tokens as they are, side by side: outputs = 2 * inputs.
  bool projected_residual = true;
  int64_t mlp_hidden = 0;
  kernels::Activation activation = kernels::Activation::gelu;
  double epsilon = 1e-6;
  bool layer_scale = false;
  double layer_scale_init = 1e-5;
  double drop_path = 0;
};

// The grid that goes in, and what attends to each other in it.
struct PooledGrid {
  int64_t height = 0, width = 0;  // multiples of the stride
  // Of the keys, and of the queries that were pooled from them. Null, both: all tokens.
  const AttentionWindows* keys = nullptr;
  const AttentionWindows* queries = nullptr;
};

class PoolingBlock {
 public:
  // Parameters: norm1.*, proj.* (of the residual), attn.{qkv, proj}.*, ls1.gamma, norm2.*, mlp.*,
  // ls2.gamma.
  PoolingBlock(const Scope& scope, const PoolingBlockConfig& config);
  // [B, height * width, inputs] to [B, height * width / stride^2, outputs].
  Variable forward(const Context& context, const Variable& x, const PooledGrid& grid) const;
  void count(CostCounter& counter, const PooledGrid& grid) const;
  void visit_linears(const VisitLinear& visit);

  const std::string& path() const { return path_; }
  const std::string& attention_path() const { return attention_path_; }
  int64_t heads() const { return config_.num_heads; }

 private:
  // [B, height * width, D] pooled.
  Variable largest(const Context& context, const Variable& x, const PooledGrid& grid) const;
  Variable average(const Context& context, const Variable& x, const PooledGrid& grid) const;
  Variable residual(const Context& context, const Variable& x, const Variable& normalised,
                    const PooledGrid& grid) const;
  Variable attend(const Context& context, const Variable& normalised, const PooledGrid& grid) const;

  PoolingBlockConfig config_;
  std::string path_, attention_path_, projection_path_, mlp_path_;
  LayerNorm norm1_;
  LinearSlot residual_;
  LinearSlot qkv_, proj_;
  Parameter* scale1_ = nullptr;
  LayerNorm norm2_;
  Mlp mlp_;
  Parameter* scale2_ = nullptr;
};

}  // namespace vitrail
