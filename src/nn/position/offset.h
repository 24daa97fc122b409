// Biases of the scores by absolute offset: a learned number for each head and each distance of rows
// and of columns, whichever token comes first (Graham et al. 2021, LeViT, section 4.3). Queries may
// be every other token of the keys' grid.
#pragma once

#include "nn/position/grid_cache.h"
#include "nn/position/position.h"

namespace vitrail {

struct OffsetPositionConfig {
  int64_t num_heads = 0;
  int64_t grid_height = 0, grid_width = 0;  // of the keys
  int64_t query_stride = 1;  // queries are the keys at multiples of it, of rows and columns
};

// "attention_biases" [H, height * width] in the scope.
class OffsetPositions : public PositionStrategy {
 public:
  OffsetPositions(const Scope& scope, const OffsetPositionConfig& config);
  // `layout`: of the keys. Error: another grid, for which the families' libraries have no rule.
  void describe(const Context& context, const TokenLayout& layout, int64_t block,
                AttentionOptions* options) const override;

 private:
  OffsetPositionConfig config_;
  Parameter& table_;
  GridCache<RelativeIndex> indices_;
};

}  // namespace vitrail
