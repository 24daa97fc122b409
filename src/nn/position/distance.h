// The distance of two patches times a slope of each head, taken from their score (Press et al.
// 2022, ALiBi; on a grid: Fuller et al. 2023). It needs no rule for another grid: that is what it
// is for.
#pragma once

#include "nn/position/grid_cache.h"
#include "nn/position/position.h"

namespace vitrail {

// "slopes" [H] in the scope, at first 2^(-8 h / H) for h = 1 ... H (Press et al., section 3).
class DistancePositions : public PositionStrategy {
 public:
  DistancePositions(const Scope& scope, int64_t num_heads);
  void describe(const Context& context, const TokenLayout& layout, int64_t block,
                AttentionOptions* options) const override;

 private:
  Parameter& slopes_;
  GridCache<Tensor> places_;
};

}  // namespace vitrail
