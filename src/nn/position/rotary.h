// Rotary positions of a grid (Su et al. 2021; on two axes: Heo et al. 2024): pairs of q's and k's
// values are turned by angles that grow with a patch's row and column. Prefix tokens stay.
#pragma once

#include <array>
#include <vector>

#include "nn/position/grid_cache.h"
#include "nn/position/position.h"
#include "nn/variants.h"

namespace vitrail {

// How q and k turn. Of mixed positions only base, which their first frequencies are made with, and
// column_first are chosen.
struct RotaryConfig {
  Rotary kind = Rotary::none;
  double base = 10000;                                       // rope_theta, temperature
  RotaryCoordinates coordinates = RotaryCoordinates::index;  // times factor
  double offset = 0;  // added to the patch's number (timm's grid_offset)
  // Patches of another grid take the places of this one's (EVA's ref_feat_shape); 0: they do not.
  int64_t reference_height = 0, reference_width = 0;
  bool interleaved = true;      // pairs (2i, 2i + 1); else (i, i + d/2): rotate_half
  bool column_first = false;    // the first half turns with the column (timm's grid_indexing 'xy')
  bool stored_periods = false;  // the file holds them, instead of the rule by base
  bool operator==(const RotaryConfig&) const = default;
};
// DINOv3's: centred, rotate-half (Simeoni et al. 2025).
RotaryConfig dinov3_rotary(double base = 100);

// Half of a head's pairs turn with the row, half with the column, at frequencies that fall
// geometrically: angle = coordinate * factor * base^(-i / (d/4)), i < d/4.
class AxialRotary : public PositionStrategy {
 public:
  // `frequencies`: d/4 of them, factor included, instead of the rule. Error: head_dim is not a
  // multiple of 4, a wrong number of frequencies.
  AxialRotary(const RotaryConfig& config, int64_t head_dim, std::vector<double> frequencies = {});
  // With "periods" [d/4] in the scope, which a file holds instead of the rule (original DINOv3):
  // an angle is coordinate * factor / period, and the factor 2 pi where coordinates are centred.
  AxialRotary(const Scope& scope, const RotaryConfig& config, int64_t head_dim);
  void describe(const Context& context, const TokenLayout& layout, int64_t block,
                AttentionOptions* options) const override;
  // [height * width, d/2].
  Tensor angles(int64_t height, int64_t width) const;

 private:
  double coordinate(int64_t index, int64_t size, int64_t reference) const;
  Tensor angles(const std::vector<double>& frequencies, int64_t height, int64_t width) const;
  RotaryPositions positions(const std::vector<double>& frequencies,
                            const TokenLayout& layout) const;
  RotaryConfig config_;
  int64_t head_dim_;
  std::vector<double> frequencies_;
  Parameter* periods_ = nullptr;
  GridCache<RotaryPositions> cache_;
};

// Frequencies on both axes that each head of each block has learned: angle = x f[0] + y f[1], of
// interleaved pairs. "freqs" [2, depth, H, d/2] (timm's RotaryEmbeddingMixed). The grid needs no
// rule: a patch's place is its number.
struct MixedRotarySize {
  int64_t depth = 0, num_heads = 0, head_dim = 0;
};
class MixedRotary : public PositionStrategy {
 public:
  // With column_first x is the column (timm's grid_indexing 'xy'); else the row.
  MixedRotary(const Scope& scope, const RotaryConfig& config, const MixedRotarySize& size);
  void describe(const Context& context, const TokenLayout& layout, int64_t block,
                AttentionOptions* options) const override;

 private:
  RotaryPositions positions(const Context& context, const TokenLayout& layout, int64_t block) const;
  RotaryConfig config_;
  MixedRotarySize size_;
  Parameter& frequencies_;
};

}  // namespace vitrail
