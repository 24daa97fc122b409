#include "image/augment/geometric.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>

#include "core/error.h"

namespace vitrail {
namespace {

// Where a coordinate beyond the edge is read: mirrored without repeating the edge, as often as it
// takes.
int reflected(int position, int size) {
  if (size == 1) return 0;
  const int period = 2 * (size - 1);
  position = ((position % period) + period) % period;
  return position < size ? position : period - position;
}

// Between two pixels, or along Keys' kernel with a = -1 through four; Pillow's order of
// operations, in double, because the result is cut off and not rounded.
double line_through(const double* v, double d) {
  return v[0] + (v[1] - v[0]) * d;
}
double cubic_through(const double* v, double d) {
  const double p1 = v[1];
  const double p2 = -v[0] + v[2];
  const double p3 = 2 * (v[0] - v[1]) + v[2] - v[3];
  const double p4 = -v[0] + v[1] - v[2] + v[3];
  return p1 + d * (p2 + d * (p3 + d * p4));
}

// kTaps x kTaps pixels around a point. Columns beyond the edge repeat it; rows above it do so, and
// rows below it are the interpolated row before them, which is the same.
template <int kTaps>
void sample(const Image& image, double x, double y, uint8_t* out) {
  x -= 0.5;
  y -= 0.5;
  const int left = static_cast<int>(std::floor(x)), top = static_cast<int>(std::floor(y));
  const double dx = x - left, dy = y - top;
  constexpr int kBefore = kTaps / 2 - 1;
  int columns[kTaps];
  const uint8_t* rows[kTaps];
  for (int i = 0; i < kTaps; ++i) {
    columns[i] = std::clamp(left - kBefore + i, 0, image.width - 1) * image.channels;
    rows[i] = image.row(std::clamp(top - kBefore + i, 0, image.height - 1));
  }
  for (int c = 0; c < image.channels; ++c) {
    double down[kTaps];
    for (int j = 0; j < kTaps; ++j) {
      double across[kTaps];
      for (int i = 0; i < kTaps; ++i) across[i] = rows[j][columns[i] + c];
      down[j] = kTaps == 2 ? line_through(across, dx) : cubic_through(across, dx);
    }
    const double value = kTaps == 2 ? line_through(down, dy) : cubic_through(down, dy);
    out[c] = value <= 0 ? 0 : value >= 255 ? 255 : static_cast<uint8_t>(value);
  }
}

template <int kTaps>
void transform_smoothly(const Image& image, const AffineMap& m, Image& out) {
  for (int y = 0; y < out.height; ++y) {
    uint8_t* to = out.row(y);
    for (int x = 0; x < out.width; ++x, to += out.channels) {
      const double center_x = x + 0.5, center_y = y + 0.5;
      const double from_x = m[0] * center_x + m[1] * center_y + m[2];
      const double from_y = m[3] * center_x + m[4] * center_y + m[5];
      if (from_x < 0 || from_x >= image.width || from_y < 0 || from_y >= image.height) continue;
      sample<kTaps>(image, from_x, from_y, to);
    }
  }
}

// Pillow steps in 16.16 fixed point.
void transform_nearest(const Image& image, const AffineMap& m, Image& out) {
  const auto fixed = [](double value) {
    return static_cast<int64_t>(std::floor(value * 65536.0 + 0.5));
  };
  const int64_t step_x = fixed(m[0]), step_y = fixed(m[3]);
  int64_t row_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5);
  int64_t row_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
  for (int y = 0; y < out.height; ++y, row_x += fixed(m[1]), row_y += fixed(m[4])) {
    int64_t at_x = row_x, at_y = row_y;
    uint8_t* to = out.row(y);
    for (int x = 0; x < out.width; ++x, to += out.channels, at_x += step_x, at_y += step_y) {
      const int64_t from_x = at_x >> 16, from_y = at_y >> 16;
      if (from_x < 0 || from_x >= image.width || from_y < 0 || from_y >= image.height) continue;
      std::copy_n(image.row(static_cast<int>(from_y)) + from_x * image.channels, image.channels,
                  to);
    }
  }
}

// Python's round(value, 15), which Pillow's rotate applies to sine and cosine.
double rounded_to_15_places(double value) {
  return std::strtod(fmt::format("{:.15f}", value).c_str(), nullptr);
}

}  // namespace

void flip_horizontally(Image& image) {
  for (int y = 0; y < image.height; ++y) {
    uint8_t* row = image.row(y);
    for (int left = 0, right = image.width - 1; left < right; ++left, --right) {
      std::swap_ranges(row + left * image.channels, row + (left + 1) * image.channels,
                       row + right * image.channels);
    }
  }
}

void flip_vertically(Image& image) {
  for (int top = 0, bottom = image.height - 1; top < bottom; ++top, --bottom)
    std::swap_ranges(image.row(top), image.row(top) + image.row_bytes(), image.row(bottom));
}

Image shifted(const Image& image, int dx, int dy, bool reflect) {
  Image out(image.width, image.height, image.channels);
  const auto channels = static_cast<size_t>(image.channels);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      int from_x = x + dx, from_y = y + dy;
      const bool inside =
          from_x >= 0 && from_x < image.width && from_y >= 0 && from_y < image.height;
      if (!inside && !reflect) continue;
      from_x = reflected(from_x, image.width);
      from_y = reflected(from_y, image.height);
      std::copy_n(image.row(from_y) + from_x * channels, channels, out.row(y) + x * channels);
    }
  }
  return out;
}

Image transformed(const Image& image, const AffineMap& map, const AffineStyle& style) {
  Image out(image.width, image.height, image.channels);
  for (size_t i = 0; i < out.pixels.size(); ++i)
    out.pixels[i] = style.fill[i % static_cast<size_t>(out.channels)];
  switch (style.filter) {
    case Filter::nearest:
      transform_nearest(image, map, out);
      break;
    case Filter::bilinear:
      transform_smoothly<2>(image, map, out);
      break;
    case Filter::bicubic:
      transform_smoothly<4>(image, map, out);
      break;
    default:
      fail("augment", "an affine map reads pixels by nearest, bilinear or bicubic, not {}",
           name_of(style.filter));
  }
  return out;
}

Image rotated(const Image& image, double degrees, const AffineStyle& style) {
  degrees -= 360 * std::floor(degrees / 360);
  if (degrees == 0) return image;
  const double angle = -degrees * (std::numbers::pi / 180.0);
  const double cosine = rounded_to_15_places(std::cos(angle));
  const double sine = rounded_to_15_places(std::sin(angle));
  const double center_x = image.width / 2.0, center_y = image.height / 2.0;
  AffineMap map{cosine, sine, 0, rounded_to_15_places(-std::sin(angle)), cosine, 0};
  map[2] = map[0] * -center_x + map[1] * -center_y + center_x;
  map[5] = map[3] * -center_x + map[4] * -center_y + center_y;
  return transformed(image, map, style);
}

Image sheared_x(const Image& image, double factor, const AffineStyle& style) {
  return transformed(image, {1, factor, 0, 0, 1, 0}, style);
}
Image sheared_y(const Image& image, double factor, const AffineStyle& style) {
  return transformed(image, {1, 0, 0, factor, 1, 0}, style);
}
Image translated(const Image& image, double dx, double dy, const AffineStyle& style) {
  return transformed(image, {1, 0, dx, 0, 1, dy}, style);
}

}  // namespace vitrail
