// Resampling of feature maps and token grids, as torch.nn.functional.interpolate does.
#pragma once

#include "autograd/context.h"
#include "kernels/interpolate.h"

namespace vitrail {

// Where the channels of a map lie.
enum class MapOrder : uint8_t {
  channels_first,  // [B, C, H, W]
  channels_last    // [B, H, W, C]
};

struct MapResize {
  kernels::InterpolateMode mode = kernels::InterpolateMode::bilinear;
  bool antialias = false;
  bool align_corners = false;
  double scale_height = 0, scale_width = 0;  // as kernels::InterpolateArgs
  int64_t out_height = 0, out_width = 0;
};

// Error: x has not four axes, or a side of no pixels.
Variable interpolate(const Context& context, const Variable& x, MapOrder order,
                     const MapResize& resize);

struct GridResize {
  kernels::InterpolateMode mode = kernels::InterpolateMode::bicubic;
  bool antialias = false;
  double scale_height = 0, scale_width = 0;  // as kernels::InterpolateArgs
  int64_t in_height = 0, in_width = 0;
  int64_t out_height = 0, out_width = 0;
};

// tokens [B, in_height*in_width, D]; returns [B, out_height*out_width, D].
Variable interpolate_tokens(const Context& context, const Variable& tokens,
                            const GridResize& resize);

}  // namespace vitrail
