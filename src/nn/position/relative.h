// Biases of the scores by relative position, a learned number for each head and each offset of rows
// and columns (Liu et al. 2021, Swin, eq. 4; Bao et al. 2022, BEiT).
#pragma once

#include "nn/position/grid_cache.h"
#include "nn/position/position.h"
#include "nn/variants.h"

namespace vitrail {

struct RelativePositionConfig {
  int64_t num_heads = 0;
  int64_t grid_height = 0, grid_width = 0;  // of the stored table; a window's
  int64_t prefix = 0;                       // tokens before the patches
  bool prefix_has_entries = true;           // three entries at the end of the table; else no bias
  RelativeResize resize = RelativeResize::refused;
  bool operator==(const RelativePositionConfig&) const = default;
};

// "relative_position_bias_table" [(2h - 1)(2w - 1) (+ 3), H] in the scope: of one attention, or of
// all that share it.
class RelativePositions : public PositionStrategy {
 public:
  RelativePositions(const Scope& scope, const RelativePositionConfig& config);
  // Added to a table that another strategy has put there for the same tokens. Error: another grid,
  // and no rule for it.
  void describe(const Context& context, const TokenLayout& layout, int64_t block,
                AttentionOptions* options) const override;

 private:
  // The table for this grid.
  Variable entries(const Context& context, const TokenLayout& layout) const;
  Variable resized(const Context& context, const TokenLayout& layout) const;
  RelativePositionConfig config_;
  Parameter& table_;
  GridCache<RelativeIndex> indices_;
};

// The table [(2h - 1)(2w - 1) + more, H] of a grid, resized to another; what comes behind the
// offsets stays. For a checkpoint that is loaded at another size.
Tensor resize_relative_table(Queue& queue, const Tensor& table, const RelativePositionConfig& from,
                             int64_t grid_height, int64_t grid_width);

}  // namespace vitrail
