// Arithmetic on values of a byte, rounded as Pillow rounds it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace vitrail {

inline uint8_t clip_to_byte(int value) {
  return static_cast<uint8_t>(std::clamp(value, 0, 255));
}

// a * b / 255 for a and b in [0, 255]: Pillow's MULDIV255.
inline int multiply_255(int a, int b) {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

}  // namespace vitrail
