// LeViT's attention (Graham et al. 2021, section 4): projections with batch normalisation instead
// of LayerNorm in front, values of another size than keys, an activation before the output
// projection, biases by absolute offset. Between stages the queries are every other token of the
// grid's rows and columns, and the tokens get wider (the paper's "shrinking attention").
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "nn/batch_norm.h"
#include "nn/cost.h"
#include "nn/position/offset.h"

namespace vitrail {

struct LevitAttentionConfig {
  int64_t inputs = 0, outputs = 0;
  int64_t num_heads = 1;
  int64_t key_dim = 0, value_dim = 0;       // of a head
  int64_t grid_height = 0, grid_width = 0;  // of the keys
  int64_t query_stride = 1;                 // 1: every token asks, and all are projected at once
  kernels::Activation activation = kernels::Activation::hard_swish;
  bool pointwise = false;              // as Linear's
  double first_projection_weight = 1;  // of its normalisation: 0 beside a shortcut
};

class LevitAttention {
 public:
  // Parameters, each with {linear, bn} below: qkv; or, with a stride, kv and q.ln; proj.ln; and
  // attention_biases.
  LevitAttention(const Scope& scope, const LevitAttentionConfig& config);
  // x [B, height * width, inputs] to [B, queries(), outputs]; the epilogue follows the projection.
  Variable forward(const Context& context, const Variable& x,
                   const LinearEpilogue& epilogue = {}) const;
  LayerCost cost() const;
  int64_t queries() const { return rows_ * columns_; }
  int64_t heads() const { return config_.num_heads; }
  const std::string& path() const { return path_; }
  void visit_linears(const VisitLinear& visit);

 private:
  int64_t keys() const { return config_.grid_height * config_.grid_width; }

  LevitAttentionConfig config_;
  std::string path_;
  int64_t rows_, columns_;  // of queries
  Tensor query_tokens_;     // i64 [queries()]: which of the keys; undefined: all
  std::optional<NormedLinear> qkv_, kv_, q_;
  NormedLinear proj_;
  OffsetPositions positions_;
};

}  // namespace vitrail
