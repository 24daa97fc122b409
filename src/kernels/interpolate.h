// Resampling of f32 maps as torch.nn.functional.interpolate does: position embeddings of another
// grid size, feature maps. (Pictures of bytes have their own resize.)
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

enum class InterpolateMode : uint8_t {
  bilinear,  // also jax.image.resize "bilinear" with antialias=False
  bicubic    // Keys' cubic with a = -0.75; antialiased: a = -0.5
};

struct InterpolateArgs {
  InterpolateMode mode = InterpolateMode::bicubic;
  bool antialias =
      false;  // the filter's support grows with the reduction, as torch's antialias=True
  // Batch * channels of [B, C, H, W], each pixel one float; or the batch of [B, H, W, C], each
  // pixel `inner` = C floats.
  int64_t planes = 0;
  int64_t inner = 1;
  int64_t in_height = 0, in_width = 0;
  int64_t out_height = 0, out_width = 0;
  // Coordinates advance by 1 / scale when given (torch's scale_factor, with which DINOv2 adds 0.1
  // to the grid before dividing), by in / out when 0 (torch's size).
  double scale_height = 0, scale_width = 0;
  // The centres of the corner pixels stay where they are: coordinates advance by (in - 1) /
  // (out - 1), whatever the scale says.
  bool align_corners = false;
  const float* x = nullptr;  // [planes, in_height, in_width, inner]
  float* y = nullptr;        // = [planes, out_height, out_width, inner]
};
// Separable, columns first, f32 with coefficients in f32 as torch computes them; agrees to 1e-6 of
// the largest magnitude. A value adds its taps in order, whatever `inner` is. Threads take planes
// and strips of inner.
void interpolate(Queue& queue, const InterpolateArgs& args);

struct InterpolateBackwardArgs {
  InterpolateArgs geometry;   // x and y are ignored
  const float* dy = nullptr;  // [planes, out_height, out_width, inner]
  float* dx = nullptr;        // = [planes, in_height, in_width, inner]
};
// The adjoint: fine-tuning at another size trains the embedding it interpolates.
void interpolate_backward(Queue& queue, const InterpolateBackwardArgs& args);

}  // namespace vitrail::kernels
