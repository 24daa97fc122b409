// Resampling of a token grid, as torch.nn.functional.interpolate does (align_corners=False).
#pragma once

#include "autograd/context.h"
#include "kernels/interpolate.h"

namespace vitrail {

struct GridResize {
  kernels::InterpolateMode mode = kernels::InterpolateMode::bicubic;
  bool antialias = false;
  double scale_height = 0, scale_width = 0;  // as kernels::InterpolateArgs
  int64_t in_height = 0, in_width = 0;
  int64_t out_height = 0, out_width = 0;
};

// tokens [1, in_height*in_width, D]; returns [1, out_height*out_width, D].
Variable interpolate_tokens(const Context& context, const Variable& tokens,
                            const GridResize& resize);

}  // namespace vitrail
