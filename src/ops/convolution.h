// Convolution and pooling of pictures whose channels lie innermost, as tokens have them; and the
// unfolding of [B, C, H, W] that a patch embedding is.
#pragma once

#include "autograd/context.h"
#include "autograd/parameter.h"
#include "ops/linear.h"

namespace vitrail {

struct WindowOptions {
  int64_t kernel_height = 1, kernel_width = 1;
  int64_t stride_height = 1, stride_width = 1;
  int64_t padding_height = 0, padding_width = 0;
};
constexpr WindowOptions square_window(int64_t kernel, int64_t stride, int64_t padding) {
  return {.kernel_height = kernel,
          .kernel_width = kernel,
          .stride_height = stride,
          .stride_width = stride,
          .padding_height = padding,
          .padding_width = padding};
}

// x [B, H, W, C], weight [O, C, kh, kw], bias [O] or null; returns [B, OH, OW, O]. Precision and
// epilogue are linear's, but that no destination is written. Error: channels that do not match; a
// picture smaller than the kernel; a residual that does not fit.
Variable convolution(const Context& context, const Variable& x, const Parameter& weight,
                     const Parameter* bias, const WindowOptions& options,
                     const LinearEpilogue& epilogue = {});

struct DepthwiseOptions {
  WindowOptions window;
  int64_t dilation_height = 1, dilation_width = 1;  // pixels from one tap to the next
};
// Each channel with a filter of its own: x [B, H, W, C], weight [C, 1, kh, kw], bias [C] or null;
// returns [B, OH, OW, C]. f32 in every precision. Error: as convolution().
Variable depthwise_convolution(const Context& context, const Variable& x, const Parameter& weight,
                               const Parameter* bias, const DepthwiseOptions& options);

struct TransposedOptions {
  WindowOptions window;                       // of the convolution whose adjoint this is
  int64_t extra_height = 0, extra_width = 0;  // torch's output_padding, below the stride
};
// The adjoint of a convolution, as torch.nn.ConvTranspose2d: x [B, H, W, C], weight [C, O, kh, kw],
// bias [O] or null; returns [B, (H - 1) stride - 2 padding + kh + extra, .., O]; the precision is
// linear's. Error: channels that do not match; nothing is left of the picture.
Variable transposed_convolution(const Context& context, const Variable& x, const Parameter& weight,
                                const Parameter* bias, const TransposedOptions& options);

// [B, H, W, C] to [B, OH, OW, C]. Padding never wins a maximum, and counts as zeros in an average.
Variable max_pool2d(const Context& context, const Variable& x, const WindowOptions& options);
Variable average_pool2d(const Context& context, const Variable& x, const WindowOptions& options);

// Patches of x [B, C, H, W] as rows: [B, OH*OW, C*kh*kw], ordered (c, y, x); with channels_last
// (y, x, c). A patch embedding is unfold, then linear.
Variable unfold(const Context& context, const Variable& x, const WindowOptions& options,
                bool channels_last = false);

}  // namespace vitrail
