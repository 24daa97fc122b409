// Pillow's Image.blend for bytes: from one value to another, and beyond it for a factor above 1.
#pragma once

#include <cstdint>

namespace vitrail {

class Blend {
 public:
  explicit Blend(double factor) : factor_(static_cast<float>(factor)) {}
  uint8_t operator()(int from, int to) const {
    // Sums of bytes are exact, so between the two no clipping happens and one formula serves.
    const float value = static_cast<float>(from) + factor_ * static_cast<float>(to - from);
    return value <= 0 ? 0 : value >= 255 ? 255 : static_cast<uint8_t>(value);
  }

 private:
  float factor_;
};

}  // namespace vitrail
