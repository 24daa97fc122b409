// Changes of geometry, on bytes; the size stays. Affine maps equal Pillow's Image.transform byte
// for byte.
#pragma once

#include <array>

#include "image/image.h"
#include "image/resize.h"

namespace vitrail {

void flip_horizontally(Image& image);  // left to right
void flip_vertically(Image& image);

// Pixel (x, y) of the result is the old one at (x + dx, y + dy); beyond the edge black, or the
// picture mirrored without repeating the edge. What a crop at (dx, dy) of the padded picture gives.
Image shifted(const Image& image, int dx, int dy, bool reflect);

// How a pixel between pixels is read, and what stands for those beyond the edge.
struct AffineStyle {
  Filter filter = Filter::bicubic;  // nearest, bilinear or bicubic
  std::array<uint8_t, 3> fill{};
};
// A point of the result comes from (m0 x + m1 y + m2, m3 x + m4 y + m5), with pixel centres at
// halves.
using AffineMap = std::array<double, 6>;
// Error: another filter.
Image transformed(const Image& image, const AffineMap& map, const AffineStyle& style);

// timm's, over it. Degrees are counter-clockwise, about the centre (Pillow's rotate).
Image rotated(const Image& image, double degrees, const AffineStyle& style);
Image sheared_x(const Image& image, double factor, const AffineStyle& style);
Image sheared_y(const Image& image, double factor, const AffineStyle& style);
Image translated(const Image& image, double dx, double dy, const AffineStyle& style);

}  // namespace vitrail
