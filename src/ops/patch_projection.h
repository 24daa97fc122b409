// The projection of a picture's patches: unfold, then linear, as one operation.
#pragma once

#include "ops/convolution.h"
#include "ops/linear.h"

namespace vitrail {

// x [B, C, H, W] to [B, OH*OW, N]: unfold(x) times weight [N, ...] plus bias (null: none). Without
// a tape the patches exist for some rows at a time, in cache, and never as a copy of the picture.
// Error: what unfold and linear refuse.
Variable patch_projection(const Context& context, const Variable& x, const WindowOptions& window,
                          bool channels_last, const Parameter& weight, const Parameter* bias);

}  // namespace vitrail
