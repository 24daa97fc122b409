// Position embeddings: none, learned, sinusoidal; learned and 2-D ones follow the picture's grid.
#pragma once

#include "autograd/context.h"
#include "nn/registry.h"
#include "nn/token_layout.h"
#include "nn/variants.h"

namespace vitrail {

struct PositionConfig {
  Position kind = Position::learned;
  int64_t embed_dim = 0;
  int64_t prefix = 0;  // tokens before the patches that have a row of their own
  int64_t grid_height = 0, grid_width = 0;  // of the stored table
  PositionResize resize = PositionResize::bicubic_antialias;
};

class PositionEmbedding {
 public:
  PositionEmbedding(const Scope& scope, const PositionConfig& config);
  // [1, prefix + patches, D] for a picture of this grid; undefined when there are no positions.
  // A stored table of another grid is resized by the family's rule; the prefix rows stay.
  Variable table(const Context& context, const TokenLayout& layout) const;
  bool present() const { return config_.kind != Position::none; }
  int64_t prefix() const { return config_.prefix; }

 private:
  Variable resized(const Context& context, const TokenLayout& layout) const;
  PositionConfig config_;
  Parameter* weight_ = nullptr;
};

// Table of `rows` positions: even columns sin, odd columns cos of p / 10000^(2 floor(i/2) / D).
Tensor sinusoidal_1d_table(int64_t rows, int64_t embed_dim);
// [grid_height * grid_width, D]: quarters are sin(x w), cos(x w), sin(y w), cos(y w) with
// w = 10000^(-4 i / D). Error: D is not a multiple of 4.
Tensor sincos_2d_table(int64_t grid_height, int64_t grid_width, int64_t embed_dim);

}  // namespace vitrail
