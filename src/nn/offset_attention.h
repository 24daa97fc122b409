// Attention of a grid, or of its windows, with biases by distance: one projection gives q, k and v
// head by head, and v may be wider than q and k (Graham et al. 2021, LeViT; Wu et al. 2022,
// TinyViT; Li et al. 2022, EfficientFormer).
#pragma once

#include <optional>
#include <string>

#include "nn/cost.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/position/grid_cache.h"
#include "nn/position/offset.h"
#include "ops/attention.h"

namespace vitrail {

struct OffsetAttentionConfig {
  int64_t embed_dim = 0, num_heads = 1;
  HeadSizes sizes;                          // of a head
  int64_t grid_height = 0, grid_width = 0;  // of the biases: the grid's or a window's
  bool windows = false;                     // a larger grid is cut into windows of that size
  bool norm = false;                        // LayerNorm inside, "norm"
  double epsilon = 1e-5;
};

class OffsetAttention {
 public:
  // Parameters: norm.*, qkv.*, proj.*, attention_biases.
  OffsetAttention(const Scope& scope, const OffsetAttentionConfig& config);
  // x [B, N, D]; the output projection applies the epilogue. Where windows do not divide the grid
  // it is padded below and on the right with zeros, before the norm. Error: without windows,
  // another grid.
  Variable forward(const Context& context, const LinearInput& x, const TokenLayout& layout,
                   const LinearEpilogue& epilogue) const;
  LayerCost cost(const TokenLayout& layout) const;
  int64_t heads() const { return config_.num_heads; }
  const std::string& path() const { return path_; }

  void visit_linears(const VisitLinear& visit) {
    visit(qkv_);
    visit(proj_);
  }

 private:
  bool is_one_window(const TokenLayout& layout) const {
    return layout.grid_height == config_.grid_height && layout.grid_width == config_.grid_width;
  }
  std::shared_ptr<const AttentionWindows> windows_of(const TokenLayout& layout) const;
  // q, k and v of a token of zeros, [H * (2 key + value)].
  Variable padding(const Context& context) const;

  OffsetAttentionConfig config_;
  std::string path_;
  std::optional<LayerNormWeights> norm_;
  LinearSlot qkv_, proj_;
  OffsetPositions positions_;
  GridCache<AttentionWindows> windows_;
};

}  // namespace vitrail
