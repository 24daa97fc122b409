// Changes of colour, on bytes: byte for byte what Pillow's ImageEnhance and ImageOps, and
// torchvision's functions over them, make of the same picture and parameter. Pictures are RGB or
// grey.
#pragma once

#include "image/image.h"

namespace vitrail {

// ImageEnhance: 1 changes nothing, 0 goes all the way to black, the mean grey, and grey.
void adjust_brightness(Image& image, double factor);
void adjust_contrast(Image& image, double factor);
void adjust_saturation(Image& image, double factor);
// torchvision's adjust_hue: the hue's byte turned by int(shift * 255), with -0.5 <= shift <= 0.5.
void adjust_hue(Image& image, double shift);
void make_grey(Image& image);  // all channels the luma

// ImageOps.
void auto_contrast(Image& image);
void equalize(Image& image);
void invert(Image& image);
void posterize(Image& image, int bits);         // 0..8 high bits stay
void solarize(Image& image, double threshold);  // inverts the values from the threshold on
void solarize_add(Image& image, int add);       // timm's: brightens the values below 128

}  // namespace vitrail
