#include "image/augment/erase.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace vitrail {

EraseMode erase_mode_of(const std::string& name) {
  if (name == "const") return EraseMode::constant;
  if (name == "rand") return EraseMode::random;
  if (name == "pixel") return EraseMode::pixel;
  fail("augment", "erase_mode is '{}'; known are const, rand, pixel", name);
}

void erase(const FloatPicture& picture, const PixelWindow& box, EraseMode mode, Rng& rng) {
  for (int c = 0; c < picture.channels; ++c) {
    const float color = mode == EraseMode::random ? static_cast<float>(rng.normal()) : 0.0f;
    for (int y = box.y0; y < box.y1; ++y) {
      float* row = picture.values + (static_cast<int64_t>(c) * picture.height + y) * picture.width;
      if (mode != EraseMode::pixel)
        std::fill(row + box.x0, row + box.x1, color);
      else
        for (int x = box.x0; x < box.x1; ++x) row[x] = static_cast<float>(rng.normal());
    }
  }
}

std::optional<BoxSides> erase_sides(double area, double ratio, int height, int width) {
  // Python's round: half to even.
  const BoxSides sides{static_cast<int>(std::nearbyint(std::sqrt(area * ratio))),
                       static_cast<int>(std::nearbyint(std::sqrt(area / ratio)))};
  if (sides.width >= width || sides.height >= height) return std::nullopt;
  return sides;
}

}  // namespace vitrail
