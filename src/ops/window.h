// What convolution, unfolding and pooling ask of a window.
#pragma once

#include "kernels/unfold.h"
#include "ops/convolution.h"

namespace vitrail {

// Error: sizes that are not positive, a negative padding.
inline void check_sizes(const char* place, const WindowOptions& window) {
  check(window.kernel_height > 0 && window.kernel_width > 0 && window.stride_height > 0 &&
            window.stride_width > 0 && window.padding_height >= 0 && window.padding_width >= 0,
        place, "kernel {}x{}, stride {}x{} and padding {}x{}: sizes must be positive",
        window.kernel_height, window.kernel_width, window.stride_height, window.stride_width,
        window.padding_height, window.padding_width);
}

// Error: x is not [B, C, H, W], the window is not positive, or larger than the padded picture.
inline void check_window(const char* place, const Shape& x, const WindowOptions& window) {
  check(x.rank() == 4, place, "an input of {} must be [B, C, H, W]", x.str());
  check_sizes(place, window);
  check(x[2] + 2 * window.padding_height >= window.kernel_height &&
            x[3] + 2 * window.padding_width >= window.kernel_width,
        place, "a picture of {}x{} is smaller than the kernel of {}x{}", x[2], x[3],
        window.kernel_height, window.kernel_width);
}

// The patches of x [B, C, H, W]. Error: as check_window.
inline kernels::UnfoldGeometry patches_of(const char* place, const Shape& x,
                                          const WindowOptions& window) {
  check_window(place, x, window);
  return {.batch = x[0],
          .channels = x[1],
          .height = x[2],
          .width = x[3],
          .kernel_height = window.kernel_height,
          .kernel_width = window.kernel_width,
          .stride_height = window.stride_height,
          .stride_width = window.stride_width,
          .padding_height = window.padding_height,
          .padding_width = window.padding_width};
}

}  // namespace vitrail
