// Max and average pooling of pictures whose channels lie innermost, contiguous f32.
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

struct PoolGeometry {
  int64_t batch = 0, channels = 0, height = 0, width = 0;
  int64_t kernel_height = 1, kernel_width = 1;
  int64_t stride_height = 1, stride_width = 1;
  // At most half the kernel, so that every window holds a pixel.
  int64_t padding_height = 0, padding_width = 0;

  int64_t out_height() const {
    return (height + 2 * padding_height - kernel_height) / stride_height + 1;
  }
  int64_t out_width() const {
    return (width + 2 * padding_width - kernel_width) / stride_width + 1;
  }
};

// x [batch, height, width, channels], y and argmax [batch, out_height, out_width, channels].
// y = the largest pixel of the window; padding never wins. argmax (optional) gets its place
// h * width + w, the first one on ties. NaN wins over numbers. Threads take lines of windows.
void max_pool2d(Queue& queue, const PoolGeometry& geometry, const float* x, float* y,
                int32_t* argmax);
// dx = the sum of dy over the windows that a pixel won, in their order. Threads take lines of
// pixels.
void max_pool2d_backward(Queue& queue, const PoolGeometry& geometry, const int32_t* argmax,
                         const float* dy, float* dx);

// y = the sum of the window / (kernel_height kernel_width): padding counts as zeros, as torch's
// count_include_pad. Threads take lines of windows.
void average_pool2d(Queue& queue, const PoolGeometry& geometry, const float* x, float* y);
// dx = the adjoint. Threads take lines of pixels.
void average_pool2d_backward(Queue& queue, const PoolGeometry& geometry, const float* dy,
                             float* dx);

}  // namespace vitrail::kernels
