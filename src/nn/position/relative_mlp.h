// Biases of the scores by relative position that a small network makes of each offset's logarithm
// (Liu et al. 2022, Swin v2, section 3.3, "continuous relative position bias"; timm's RelPosMlp).
// It needs no rule for another grid: the network is asked again.
#pragma once

#include <array>
#include <map>
#include <mutex>

#include "nn/position/grid_cache.h"
#include "nn/position/position.h"
#include "nn/variants.h"

namespace vitrail {

struct RelativeMlpConfig {
  int64_t num_heads = 0, hidden_dim = 0;
  int64_t prefix = 0;  // tokens before the patches: nothing is added to their scores
  // mlp: of sign(o) ln(1 + |o|) of an offset o. mlp_swin: of sign(o) log2(1 + 8 |o|) / 3, o in
  // shares of the grid; what comes out is 16 times its sigmoid.
  RelativePosition kind = RelativePosition::mlp;
  bool operator==(const RelativeMlpConfig&) const = default;
};

// "mlp.fc1.{weight [hidden, 2], bias}", ReLU, "mlp.fc2.{weight [H, hidden], bias}" in the scope
// (mlp_swin: the second without a bias), of row and column.
class RelativeMlpPositions : public PositionStrategy {
 public:
  RelativeMlpPositions(const Scope& scope, const RelativeMlpConfig& config);
  // Added to a table that another strategy has put there for the same tokens. Error: other tokens
  // before the patches; with mlp_swin a grid of one row or column, which has no offsets.
  void describe(const Context& context, const TokenLayout& layout, int64_t block,
                AttentionOptions* options) const override;

 private:
  using Versions = std::array<uint64_t, 4>;
  Versions versions() const;
  Variable entries(const Context& context, const TokenLayout& layout) const;
  // What inference made of the weights as they are.
  Tensor kept(const Context& context, const TokenLayout& layout) const;

  RelativeMlpConfig config_;
  Parameter &weight1_, &bias1_, &weight2_;
  Parameter* bias2_;
  GridCache<RelativeIndex> indices_;
  mutable std::mutex mutex_;
  mutable Versions made_of_{};
  mutable std::map<std::array<int64_t, 2>, Tensor> entries_;
};

}  // namespace vitrail
