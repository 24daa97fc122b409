// Depth-wise convolution of pictures whose channels lie innermost: each channel has a filter of its
// own (Chollet, "Xception", 2017). Conditional positions (Chu et al., 2021), the MLPs of PVT v2 and
// SegFormer, and mobile networks are made of it.
//
// f32 in every precision: it reads each value a few times, so that memory bounds it.
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

struct DepthwiseGeometry {
  int64_t batch = 0, channels = 0, height = 0, width = 0;
  int64_t kernel_height = 1, kernel_width = 1;
  int64_t stride_height = 1, stride_width = 1;
  int64_t padding_height = 0, padding_width = 0;    // zeros on both sides
  int64_t dilation_height = 1, dilation_width = 1;  // pixels from one tap to the next

  int64_t out_height() const {
    return (height + 2 * padding_height - dilation_height * (kernel_height - 1) - 1) /
               stride_height +
           1;
  }
  int64_t out_width() const {
    return (width + 2 * padding_width - dilation_width * (kernel_width - 1) - 1) / stride_width + 1;
  }
  int64_t taps() const { return kernel_height * kernel_width; }
};

struct DepthwiseArgs {
  DepthwiseGeometry geometry;
  const float* x = nullptr;       // [batch, height, width, channels]
  const float* weight = nullptr;  // [kernel_height, kernel_width, channels]
  const float* bias = nullptr;    // [channels]; null: none
  float* y = nullptr;             // = [batch, out_height, out_width, channels]
};
// y[b, i, j, c] = bias[c] + sum over taps (m, n) of
//   x[b, i stride - padding + m dilation, j stride - padding + n dilation, c] weight[m, n, c]:
// the bias, then the taps that lie in the picture, in order. Threads take lines of y.
void depthwise_convolution(Queue& queue, const DepthwiseArgs& args);

struct DepthwiseInputGradientArgs {
  DepthwiseGeometry geometry;
  const float* dy = nullptr;      // [batch, out_height, out_width, channels]
  const float* weight = nullptr;  // [kernel_height, kernel_width, channels]
  float* dx = nullptr;            // = [batch, height, width, channels]
};
// The adjoint. A pixel adds its taps in order. Threads take lines of dx.
void depthwise_input_gradient(Queue& queue, const DepthwiseInputGradientArgs& args);

struct DepthwiseWeightGradientArgs {
  DepthwiseGeometry geometry;
  const float* x = nullptr;
  const float* dy = nullptr;
  float* dweight = nullptr;  // = [kernel_height, kernel_width, channels]; null: not wanted
  float* dbias = nullptr;    // = [channels]; null: not wanted
};
// A line of y adds its pixels in an order that the shape fixes, at most 16 pieces of the batch
// their lines in order, and the pieces are joined in order. Threads take pieces.
void depthwise_weight_gradient(Queue& queue, const DepthwiseWeightGradientArgs& args);

}  // namespace vitrail::kernels
