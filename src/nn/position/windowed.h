// Learned positions in two parts: a table that is stretched over the picture, and one of a window
// that is repeated in each (Bolya et al. 2023, "Window Attention is Bugged: How not to Interpolate
// Position Embeddings", section 3.2).
#pragma once

#include "nn/position/position.h"
#include "nn/variants.h"

namespace vitrail {

struct WindowedPositionConfig {
  int64_t embed_dim = 0;
  int64_t grid_height = 0, grid_width = 0;  // of the table that is stretched
  int64_t window_height = 0, window_width = 0;
  PositionResize resize = PositionResize::bicubic_antialias;
};

// "pos_embed" [1, D, grid_height, grid_width] and "pos_embed_win" [1, D, window_height,
// window_width].
class WindowedPositions : public PositionStrategy {
 public:
  WindowedPositions(const Scope& scope, const WindowedPositionConfig& config);
  // Error: the layout has tokens before its patches, or is no whole number of windows.
  Variable table(const Context& context, const TokenLayout& layout) const override;

 private:
  Variable stretched(const Context& context, const TokenLayout& layout) const;  // [1, H, W, D]
  Variable repeated(const Context& context, const TokenLayout& layout) const;
  WindowedPositionConfig config_;
  Parameter &grid_, &window_;
};

}  // namespace vitrail
