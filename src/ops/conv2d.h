// Convolution and pooling over [B, C, H, W], and the unfolding that a patch embedding is.
#pragma once

#include "autograd/context.h"
#include "autograd/parameter.h"

namespace vitrail {

struct WindowOptions {
  int64_t kernel_height = 1, kernel_width = 1;
  int64_t stride_height = 1, stride_width = 1;
  int64_t padding_height = 0, padding_width = 0;
};

// x [B, C, H, W], weight [O, C, kh, kw], bias [O] or null; returns [B, O, OH, OW].
// Error: channels that do not match; a picture smaller than the kernel.
Variable conv2d(const Context& context, const Variable& x, const Parameter& weight,
                const Parameter* bias, const WindowOptions& options);

// Patches of x [B, C, H, W] as rows: [B, OH*OW, C*kh*kw], ordered (c, y, x); with channels_last
// (y, x, c). A patch embedding is unfold, then linear.
Variable unfold(const Context& context, const Variable& x, const WindowOptions& options,
                bool channels_last = false);

// Padding never wins a maximum.
Variable max_pool2d(const Context& context, const Variable& x, const WindowOptions& options);
Variable average_pool2d(const Context& context, const Variable& x, const WindowOptions& options);

}  // namespace vitrail
