// Sharpening and blurring, on bytes: byte for byte Pillow's ImageEnhance.Sharpness and
// ImageFilter.GaussianBlur. Pictures are RGB or grey.
#pragma once

#include "image/image.h"

namespace vitrail {

// 1 changes nothing, 0 gives the smoothed picture, 2 goes as far the other way.
void adjust_sharpness(Image& image, double factor);
// Three box blurs whose variances sum to radius² (Gwosdek et al., SSVM 2011); in pixels, >= 0.
void gaussian_blur(Image& image, double radius);

}  // namespace vitrail
