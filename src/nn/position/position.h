// How a model tells where its tokens are: one strategy a file of this folder.
//
//   added.h       a table added to the tokens: learned, sinusoidal
//   fourier.h     the same, sines and cosines of the place projected (XCiT)
//   rotary.h      q and k turned by an angle: axial (DINOv3, EVA), mixed (learned frequencies)
//   relative.h    a table added to the scores by relative position (Swin, BEiT)
//   relative_mlp.h  what a small network makes of the relative position (Swin v2, timm's relpos)
//   decomposed.h  rows and columns multiplied with q, added to the scores (MViT v2, SAM)
//   offset.h      a table added to the scores by distances of rows and columns (LeViT, TinyViT)
//   distance.h    the distance times a slope, added to the scores (ALiBi in two dimensions)
//
// Each follows the picture's grid by its family's own rule.
#pragma once

#include "nn/registry.h"
#include "nn/token_layout.h"
#include "ops/attention.h"

namespace vitrail {

class PositionStrategy {
 public:
  PositionStrategy() = default;
  virtual ~PositionStrategy() = default;
  PositionStrategy(const PositionStrategy&) = delete;
  PositionStrategy& operator=(const PositionStrategy&) = delete;

  // What is added to the tokens, [1, N, D]; undefined: nothing.
  virtual Variable table(const Context& context, const TokenLayout& layout) const;
  // What attention in block `block` does with q, k or the scores. `layout`: of the tokens that
  // attend to each other; where that is a window, of the window.
  virtual void describe(const Context& context, const TokenLayout& layout, int64_t block,
                        AttentionOptions* options) const;
};

// For a model without positions, whose answer does not depend on the order of its patches.
class NoPositions : public PositionStrategy {};

}  // namespace vitrail
