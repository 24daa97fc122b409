// Double-precision convolution and pooling, straight from their definitions.
#pragma once

#include <vector>

#include "kernels/pool2d.h"
#include "kernels/unfold.h"

namespace vitrail::kernels::reference {

// x [B, C, H, W], weight [O, C, kh, kw], bias [O] or empty; returns [B, O, OH, OW].
std::vector<double> conv2d(const UnfoldGeometry& geometry, const std::vector<double>& x,
                           const std::vector<double>& weight, const std::vector<double>& bias);

// x [B, H, W, C]; returns [B, OH, OW, C].
std::vector<double> max_pool2d(const PoolGeometry& geometry, const std::vector<double>& x);
std::vector<double> average_pool2d(const PoolGeometry& geometry, const std::vector<double>& x);

}  // namespace vitrail::kernels::reference
