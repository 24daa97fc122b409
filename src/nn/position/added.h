// Tables of positions that are added to the tokens: learned (Dosovitskiy et al. 2021), sinusoidal
// over the tokens in order (Vaswani et al. 2017, section 3.5), and of the grid's two axes (Chen et
// al. 2021, MoCo v3).
#pragma once

#include "nn/position/position.h"
#include "nn/variants.h"

namespace vitrail {

struct LearnedPositionConfig {
  int64_t embed_dim = 0;
  int64_t prefix = 0;  // tokens before the patches that have a row of their own
  int64_t grid_height = 0, grid_width = 0;  // of the stored table
  PositionResize resize = PositionResize::bicubic_antialias;
  bool by_axes = false;  // stored as [1, grid_height, grid_width, D]; without a prefix
};

// "pos_embed" [1, prefix + patches, D]. For a picture of another grid the patches' rows are resized
// by the family's rule; the prefix's stay.
class LearnedPositions : public PositionStrategy {
 public:
  LearnedPositions(const Scope& scope, const LearnedPositionConfig& config);
  Variable table(const Context& context, const TokenLayout& layout) const override;

 private:
  int64_t rows() const { return config_.prefix + config_.grid_height * config_.grid_width; }
  Variable stored(const Context& context) const;  // [1, prefix + patches, D]
  Variable resized(const Context& context, const TokenLayout& layout) const;
  LearnedPositionConfig config_;
  Parameter& weight_;
};

// Of all tokens in order, the prefix included.
class SinusoidalPositions : public PositionStrategy {
 public:
  SinusoidalPositions(int64_t embed_dim, int64_t prefix) : embed_dim_(embed_dim), prefix_(prefix) {}
  Variable table(const Context& context, const TokenLayout& layout) const override;

 private:
  int64_t embed_dim_, prefix_;
};

// Which frequencies the two axes have: D/4 of them, from 1 downwards.
enum class SincosFrequencies : uint8_t {
  open,    // 10000^(-4 i / D): 1/10000 would be the next (MoCo v3)
  closed,  // 10000^(-i / (D/4 - 1)): 1/10000 is the last (big_vision's and vit-pytorch's SimpleViT)
};

// Of the patches' rows and columns; the prefix, which has no place in the picture, gets zeros.
class SincosPositions : public PositionStrategy {
 public:
  SincosPositions(int64_t embed_dim, int64_t prefix, SincosFrequencies frequencies)
      : embed_dim_(embed_dim), prefix_(prefix), frequencies_(frequencies) {}
  Variable table(const Context& context, const TokenLayout& layout) const override;

 private:
  int64_t embed_dim_, prefix_;
  SincosFrequencies frequencies_;
};

// Table of `rows` positions: even columns sin, odd columns cos of p / 10000^(2 floor(i/2) / D).
Tensor sinusoidal_1d_table(int64_t rows, int64_t embed_dim);
// [grid_height * grid_width, D]: quarters are sin(x w), cos(x w), sin(y w), cos(y w) with the
// frequencies w. Error: D is not a multiple of 4; closed: D is 4, of which w has no rule.
Tensor sincos_2d_table(int64_t grid_height, int64_t grid_width, int64_t embed_dim,
                       SincosFrequencies frequencies = SincosFrequencies::open);

}  // namespace vitrail
