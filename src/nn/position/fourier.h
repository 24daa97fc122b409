// Positions of a grid as sines and cosines of its rows and columns, each axis scaled to one turn,
// projected to the width of the tokens (El-Nouby et al. 2021, XCiT, appendix; Carion et al. 2020,
// DETR). They follow any grid.
#pragma once

#include "nn/linear.h"
#include "nn/position/grid_cache.h"
#include "nn/position/position.h"

namespace vitrail {

class FourierPositions : public PositionStrategy {
 public:
  static constexpr int64_t kWaves = 32;  // of each axis

  // Parameters: "token_projection.weight" [D, 64, 1, 1] and ".bias".
  FourierPositions(const Scope& scope, int64_t embed_dim);
  // Of the patches, which stand alone.
  Variable table(const Context& context, const TokenLayout& layout) const override;

 private:
  Parameter& weight_;
  Parameter& bias_;
  GridCache<Tensor> waves_;
};

// [1, grid_height * grid_width, 2 * waves]: the row's part, then the column's. Position p of n is
// the angle 2 pi (p + 1) / (n + 1e-6), divided by 10000^(2 floor(i/2) / waves); even i are sines.
Tensor fourier_waves(int64_t grid_height, int64_t grid_width, int64_t waves);

}  // namespace vitrail
