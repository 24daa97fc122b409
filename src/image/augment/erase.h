// Random erasing (Zhong et al., AAAI 2020): a box of a normalised picture filled anew. The
// semantics of timm's RandomErasing.
#pragma once

#include <optional>
#include <string>

#include "core/rng.h"
#include "image/image.h"

namespace vitrail {

enum class EraseMode : uint8_t {
  constant,  // "const": zero, which is the mean colour
  random,    // "rand": one normal draw a channel
  pixel,     // "pixel": one a pixel and channel
};
// Error: an unknown name.
EraseMode erase_mode_of(const std::string& name);

// picture [channels, height, width]; draws come in the order channel, row, column.
struct FloatPicture {
  float* values = nullptr;
  int channels = 0, height = 0, width = 0;
};
void erase(const FloatPicture& picture, const PixelWindow& box, EraseMode mode, Rng& rng);

// The sides of a box of this area and ratio (height / width), or none when it would not be smaller
// than the picture both ways.
struct BoxSides {
  int height = 0, width = 0;
};
std::optional<BoxSides> erase_sides(double area, double ratio, int height, int width);

}  // namespace vitrail
