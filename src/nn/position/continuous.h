// A bias of the scores by relative position that a small perceptron computes from the logarithm of
// the offset, so that it goes on beyond the window it was trained with (Liu et al. 2022, "Swin
// Transformer V2", section 3.3).
#pragma once

#include "nn/joint_cache.h"
#include "nn/position/grid_cache.h"
#include "nn/position/position.h"

namespace vitrail {

struct ContinuousPositionConfig {
  int64_t num_heads = 0;
  // Offsets are measured in the window that the model was trained with before; 0: in the present
  // one.
  int64_t pretrained_window = 0;
  int64_t hidden = 512;
};

// "cpb_mlp.0.{weight, bias}" and "cpb_mlp.2.weight" in the scope of one attention:
//   table = 16 sigmoid(W2 relu(W1 c + b1)),  c = sign(o) log2(1 + |o|) / log2(8),
// o: an offset in rows and columns, 8 at the edge of the window. f32 in every precision; without a
// tape computed once for each grid.
class ContinuousPositions : public PositionStrategy {
 public:
  ContinuousPositions(const Scope& scope, const ContinuousPositionConfig& config);
  // Error: the layout has tokens before its patches.
  void describe(const Context& context, const TokenLayout& layout, int64_t block,
                AttentionOptions* options) const override;

 private:
  Variable computed(const Context& context, const TokenLayout& layout) const;
  ContinuousPositionConfig config_;
  Parameter &first_weight_, &first_bias_, &second_weight_;
  JointCache<Tensor> table_;
  GridCache<RelativeIndex> indices_;
};

// [(2h - 1)(2w - 1), 2]: the coordinates c of each offset, rows first.
Tensor continuous_offsets(int64_t height, int64_t width, int64_t pretrained_window);

}  // namespace vitrail
