#include "image/augment/filter.h"

#include <algorithm>
#include <cmath>

#include "image/augment/blend.h"

namespace vitrail {
namespace {

// Pillow's ImageFilter.SMOOTH: ones around a five, over 13; the border stays as it is.
Image smoothed(const Image& image) {
  Image out = image;
  const int step = image.channels, last = static_cast<int>(image.row_bytes()) - step;
  const float one = static_cast<float>(1.0 / 13.0), five = static_cast<float>(5.0 / 13.0);
  for (int y = 1; y + 1 < image.height; ++y) {
    const uint8_t *above = image.row(y - 1), *row = image.row(y), *under = image.row(y + 1);
    uint8_t* to = out.row(y);
    const auto sum_of = [&](const uint8_t* from, int i, float middle) {
      return static_cast<float>(from[i - step]) * one + static_cast<float>(from[i]) * middle +
             static_cast<float>(from[i + step]) * one;
    };
    for (int i = step; i < last; ++i) {
      float sum = 0.5f;
      sum += sum_of(under, i, one);
      sum += sum_of(row, i, five);
      sum += sum_of(above, i, one);
      to[i] = sum >= 255 ? 255 : static_cast<uint8_t>(sum);
    }
  }
  return out;
}

// The box's half-width whose three passes have the variance of the Gaussian, with its fraction.
float box_radius(float radius, int passes) {
  const float variance = radius * radius / static_cast<float>(passes);
  const auto length = static_cast<float>(std::sqrt(12.0 * variance + 1.0));
  const auto whole = static_cast<float>(std::floor((length - 1.0) / 2.0));
  float fraction = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
  fraction /= 6 * (variance - (whole + 1) * (whole + 1));
  return whole + fraction;
}

// A mean over 2 r + 1 pixels, r not whole: weights in units of 2^-24.
struct Box {
  int radius;
  uint32_t inside, edge;
  explicit Box(float r)
      : radius(static_cast<int>(r)),
        inside(static_cast<uint32_t>((1 << 24) / (r * 2 + 1))),
        edge(((1u << 24) - static_cast<uint32_t>(radius * 2 + 1) * inside) / 2) {}
};

// Columns of bytes side by side, `count` lines of `bytes` each, blurred from line to line.
void blur_lines(const uint8_t* from, uint8_t* to, int count, size_t bytes, const Box& box,
                std::vector<uint32_t>& sums) {
  const auto line = [&](int y) {
    return from + static_cast<size_t>(std::clamp(y, 0, count - 1)) * bytes;
  };
  sums.assign(bytes, 0);
  for (int y = -box.radius - 1; y < box.radius; ++y) {
    const uint8_t* added = line(y);
    for (size_t i = 0; i < bytes; ++i) sums[i] += added[i];
  }
  for (int y = 0; y < count; ++y) {
    const uint8_t *left = line(y - box.radius - 1), *added = line(y + box.radius),
                  *right = line(y + box.radius + 1);
    uint8_t* out = to + static_cast<size_t>(y) * bytes;
    for (size_t i = 0; i < bytes; ++i) {
      sums[i] += static_cast<uint32_t>(added[i]) - left[i];
      const uint32_t sum =
          sums[i] * box.inside + (static_cast<uint32_t>(left[i]) + right[i]) * box.edge;
      out[i] = static_cast<uint8_t>((sum + (1u << 23)) >> 24);
    }
  }
}

Image transposed(const Image& image) {
  Image out(image.height, image.width, image.channels);
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* from = image.row(y);
    for (int x = 0; x < image.width; ++x, from += image.channels)
      std::copy_n(from, image.channels, out.row(x) + y * image.channels);
  }
  return out;
}

void blur_columns(Image& image, const Box& box, int passes, std::vector<uint32_t>& sums) {
  Image other(image.width, image.height, image.channels);
  for (int i = 0; i < passes; ++i) {
    blur_lines(image.pixels.data(), other.pixels.data(), image.height, image.row_bytes(), box,
               sums);
    std::swap(image.pixels, other.pixels);
  }
}

}  // namespace

void adjust_sharpness(Image& image, double factor) {
  const Image smooth = smoothed(image);
  const Blend blend(factor);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = blend(smooth.pixels[i], image.pixels[i]);
}

void gaussian_blur(Image& image, double radius) {
  constexpr int kPasses = 3;
  if (radius <= 0 || image.pixels.empty()) return;
  const Box box(box_radius(static_cast<float>(radius), kPasses));
  std::vector<uint32_t> sums;
  Image turned = transposed(image);
  blur_columns(turned, box, kPasses, sums);  // across, first
  image = transposed(turned);
  blur_columns(image, box, kPasses, sums);
}

}  // namespace vitrail
