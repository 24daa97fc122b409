// Relative positions decomposed into a table of rows and one of columns, multiplied with q and
// added to the scores (Li et al. 2022, MViT v2, eq. 4; the image encoder of SAM and ViTDet).
#pragma once

#include "nn/position/position.h"

namespace vitrail {

struct DecomposedPositionConfig {
  int64_t head_dim = 0;
  int64_t grid_height = 0, grid_width = 0;  // of the stored tables; a window's
};

// "rel_pos_h" [2h - 1, d] and "rel_pos_w" [2w - 1, d] in the scope of one attention. For another
// grid they are resized linearly, as SAM's library does.
class DecomposedPositions : public PositionStrategy {
 public:
  DecomposedPositions(const Scope& scope, const DecomposedPositionConfig& config);
  // Error: the layout has tokens before its patches.
  void describe(const Context& context, const TokenLayout& layout, int64_t block,
                AttentionOptions* options) const override;

 private:
  Variable resized(const Context& context, const Parameter& table, int64_t size) const;
  DecomposedPositionConfig config_;
  Parameter &rows_, &columns_;
};

}  // namespace vitrail
