// Resizing, byte for byte as Pillow's Image.resize does for 8-bit pictures: each output pixel is a
// weighted mean over the filter's support, which grows with the factor when shrinking; weights in
// fixed point with 22 bits; the horizontal pass into an 8-bit picture, then the vertical one.
#pragma once

#include <cstdint>
#include <string>

#include "image/image.h"

namespace vitrail {

// Pillow's codes, which preprocessor_config.json uses.
enum class Filter : uint8_t {
  nearest = 0,
  lanczos = 1,
  bilinear = 2,
  bicubic = 3,  // Keys' kernel with a = -0.5
  box = 4,
  hamming = 5,
};
const char* name_of(Filter filter);
// Error: an unknown name. Spelled as in name_of, in lower case.
Filter filter_of(const std::string& name);

// Which pass fills the 8-bit picture between the two; the order shows in the result by a level.
enum class PassOrder : uint8_t {
  horizontal_first,  // Pillow up to 12: what every published checkpoint was measured with
  fewest_rows,       // Pillow 13: vertical first when that removes more than twice as many rows as
                     // the horizontal pass removes columns (tall pictures shrunk)
};

// A rectangle of the source in pixels, edges included at their fractions.
struct SourceBox {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

// Error: width or height below 1, or above the limit of a picture's pixels.
Image resize(const Image& image, int width, int height, Filter filter,
             PassOrder order = PassOrder::horizontal_first);
// Of that part of the source only. Error also: a box outside the picture, or empty.
Image resize(const Image& image, int width, int height, Filter filter, const SourceBox& box,
             PassOrder order = PassOrder::horizontal_first);

// One plane of floats.
struct Plane {
  const float* values = nullptr;  // [height, width]
  int width = 0;
  int height = 0;
};

// torch's interpolate(mode, antialias=True) on floats, for loaders that rescale before resizing:
// weights and sums in float32, rows first. Filters bilinear and bicubic. Error: another filter.
void resize_float(const Plane& source, int width, int height, Filter filter, float* out);

}  // namespace vitrail
