// Attention over a grid whose keys and values are fewer than its queries: the grid is reduced
// before they are projected, by a strided convolution (Wang et al., "Pyramid Vision Transformer",
// 2021, eq. 1 to 4) or by averaging to a fixed side (the linear attention of "PVT v2", 2022,
// section 3.1).
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "nn/cost.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace vitrail {

struct ReducedAttentionConfig {
  int64_t embed_dim = 0, num_heads = 1;
  int64_t reduction = 1;    // of each side of the grid; 1: every token is a key
  int64_t pooled_side = 0;  // instead: averaged to a grid of so many by so many; 0: not
  bool qkv_bias = true;
  double epsilon = 1e-5;  // of the norm of the reduced grid
  double dropout = 0;
};

class ReducedAttention {
 public:
  // Parameters: q.*, kv.*, proj.*; sr.{weight [D, D, r, r], bias} and norm.* where it reduces.
  ReducedAttention(const Scope& scope, const ReducedAttentionConfig& config);
  // x [B, height * width, D], already normalised; the epilogue rides on the output projection.
  Variable forward(const Context& context, const Variable& x, int64_t height, int64_t width,
                   const LinearEpilogue& epilogue) const;
  LayerCost cost(int64_t height, int64_t width) const;
  int64_t heads() const { return config_.num_heads; }
  bool reduces() const { return config_.reduction > 1 || config_.pooled_side > 0; }
  bool of_its_tokens() const { return !reduces(); }
  const std::string& path() const { return path_; }
  // The rows and columns that a grid's keys are reduced to.
  std::pair<int64_t, int64_t> key_grid(int64_t height, int64_t width) const;

  void visit_linears(const VisitLinear& visit) {
    visit(q_);
    visit(kv_);
    visit(proj_);
  }

 private:
  Variable reduced(const Context& context, const Variable& x, int64_t height, int64_t width) const;

  ReducedAttentionConfig config_;
  std::string path_;
  LinearSlot q_, kv_;
  Parameter* sr_weight_ = nullptr;
  Parameter* sr_bias_ = nullptr;
  std::optional<LayerNorm> norm_;
  LinearSlot proj_;
};

}  // namespace vitrail
