// Biases of the scores by how far apart two tokens of a grid lie, rows and columns alone, whichever
// comes first: a learned number for each head and each pair of distances (Graham et al. 2021,
// LeViT, section 4; TinyViT, EfficientFormer).
#pragma once

#include "nn/position/position.h"

namespace vitrail {

struct OffsetPositionConfig {
  int64_t num_heads = 0;
  int64_t grid_height = 0, grid_width = 0;  // of the tokens; a window's
  int64_t query_stride = 1;  // only tokens at multiples of it ask, of rows and columns
};

// "attention_biases" [H, height * width] in the scope of one attention: entry |dy| * width + |dx|.
class OffsetPositions : public PositionStrategy {
 public:
  OffsetPositions(const Scope& scope, const OffsetPositionConfig& config);
  // `layout`: of the keys. Error: another grid, for which the family's libraries have no rule.
  void describe(const Context& context, const TokenLayout& layout, int64_t block,
                AttentionOptions* options) const override;

 private:
  OffsetPositionConfig config_;
  Parameter& biases_;
  Tensor entries_;  // i64 [(2h - 1)(2w - 1)]: the bias that each signed offset has
  RelativeIndex index_;
};

}  // namespace vitrail
