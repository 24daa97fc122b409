#include "image/resize.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/error.h"
#include "image/codec.h"
#include "image/resize_weights.h"

namespace vitrail {
namespace {

// Pillow's: 8 bits for the pixel, 2 for the sum's overshoot, one for the sign.
constexpr int kPrecisionBits = 32 - 8 - 2;

struct FixedWeights {
  std::vector<Window> windows;
  std::vector<int32_t> values;  // stride per window
  int stride = 0;
};

FixedWeights fixed_weights(const Axis& axis, Filter filter) {
  const Weights<double> exact = filter_weights<double>(axis, filter);
  FixedWeights fixed{exact.windows, std::vector<int32_t>(exact.values.size()), exact.stride};
  for (size_t i = 0; i < exact.values.size(); ++i) {
    const double value = exact.values[i];
    fixed.values[i] =
        static_cast<int32_t>((value < 0 ? -0.5 : 0.5) + value * (int32_t{1} << kPrecisionBits));
  }
  return fixed;
}

uint8_t clip(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

constexpr int32_t kHalf = int32_t{1} << (kPrecisionBits - 1);

template <int kChannels>
void resize_row(const uint8_t* from, uint8_t* to, const FixedWeights& weights) {
  const int32_t* k = weights.values.data();
  for (const Window& window : weights.windows) {
    const uint8_t* pixel = from + static_cast<size_t>(window.begin) * kChannels;
    int32_t sums[kChannels];
    std::fill_n(sums, kChannels, kHalf);
    for (int i = 0; i < window.count; ++i, pixel += kChannels)
      for (int c = 0; c < kChannels; ++c) sums[c] += pixel[c] * k[i];
    for (int c = 0; c < kChannels; ++c) *to++ = clip(sums[c]);
    k += weights.stride;
  }
}

// Rows [first, first + rows) of the source.
Image resize_horizontally(const Image& image, int first, int rows, const FixedWeights& weights) {
  Image out(static_cast<int>(weights.windows.size()), rows, image.channels);
  for (int y = 0; y < rows; ++y) {
    if (image.channels == 1)
      resize_row<1>(image.row(first + y), out.row(y), weights);
    else
      resize_row<3>(image.row(first + y), out.row(y), weights);
  }
  return out;
}

// Windows count rows from the source's row `first`, which is the image's row 0.
Image resize_vertically(const Image& image, int first, const FixedWeights& weights) {
  Image out(image.width, static_cast<int>(weights.windows.size()), image.channels);
  const size_t bytes = image.row_bytes();
  std::vector<int32_t> sums(bytes);
  for (int y = 0; y < out.height; ++y) {
    const Window window = weights.windows[static_cast<size_t>(y)];
    const int32_t* k = weights.values.data() + static_cast<size_t>(y) * weights.stride;
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int i = 0; i < window.count; ++i) {
      const uint8_t* from = image.row(window.begin - first + i);
      const int32_t weight = k[i];
      for (size_t x = 0; x < bytes; ++x) sums[x] += from[x] * weight;
    }
    uint8_t* to = out.row(y);
    for (size_t x = 0; x < bytes; ++x) to[x] = clip(sums[x]);
  }
  return out;
}

// Pillow maps nearest through an affine transform and adds up the step, rounding as it goes; a
// coordinate that ends beyond the picture gives -1, and black.
std::vector<int> nearest_coordinates(const Axis& axis) {
  std::vector<int> source(static_cast<size_t>(axis.out));
  const double step = static_cast<double>(axis.end - axis.begin) / axis.out;
  double at = axis.begin + step * 0.5;
  for (int& coordinate : source) {
    coordinate = at >= 0 && at < axis.in ? static_cast<int>(at) : -1;
    at += step;
  }
  return source;
}

Image resize_nearest(const Image& image, const Axis& across, const Axis& down) {
  Image out(across.out, down.out, image.channels);
  const std::vector<int> columns = nearest_coordinates(across);
  const std::vector<int> rows = nearest_coordinates(down);
  for (int y = 0; y < out.height; ++y) {
    if (rows[static_cast<size_t>(y)] < 0) continue;
    const uint8_t* from = image.row(rows[static_cast<size_t>(y)]);
    uint8_t* to = out.row(y);
    for (const int column : columns) {
      if (column >= 0)
        std::memcpy(to, from + static_cast<size_t>(column) * image.channels,
                    static_cast<size_t>(image.channels));
      to += image.channels;
    }
  }
  return out;
}

void check_request(const Image& image, int width, int height, const SourceBox& box) {
  check(image.channels == 1 || image.channels == 3, "resize", "{} channels, expected 1 or 3",
        image.channels);
  check(image.width > 0 && image.height > 0, "resize", "the picture is empty");
  check(width > 0 && height > 0, "resize", "to {}x{}, expected at least 1x1", width, height);
  check(static_cast<uint64_t>(width) <= kMaxPicturePixels / static_cast<uint64_t>(height), "resize",
        "to {}x{}, above the limit of {} pixels", width, height, kMaxPicturePixels);
  check(box.x0 >= 0 && box.y0 >= 0 && box.x1 <= image.width && box.y1 <= image.height &&
            box.x0 < box.x1 && box.y0 < box.y1,
        "resize", "the box ({}, {}, {}, {}) is not within the picture of {}x{}", box.x0, box.y0,
        box.x1, box.y1, image.width, image.height);
}

// Pillow 13 begins with the columns when that spares it most of the rows.
bool vertical_pass_first(const Image& image, int width, int height) {
  const int64_t fewer_rows = int64_t{image.height} - height;
  const int64_t fewer_columns = int64_t{image.width} - width;
  return fewer_rows > 0 && fewer_rows > 2 * fewer_columns;
}

bool covers_whole(const Axis& axis) {
  return axis.begin == 0 && axis.end == axis.in;
}

}  // namespace

const char* name_of(Filter filter) {
  switch (filter) {
    case Filter::nearest:
      return "nearest";
    case Filter::lanczos:
      return "lanczos";
    case Filter::bilinear:
      return "bilinear";
    case Filter::bicubic:
      return "bicubic";
    case Filter::box:
      return "box";
    case Filter::hamming:
      return "hamming";
  }
  fail("resize", "unknown filter {}", static_cast<int>(filter));
}

Filter filter_of(const std::string& name) {
  for (const Filter filter : {Filter::nearest, Filter::lanczos, Filter::bilinear, Filter::bicubic,
                              Filter::box, Filter::hamming})
    if (name == name_of(filter)) return filter;
  fail("resize",
       "unknown filter '{}', expected nearest, box, bilinear, hamming, bicubic or lanczos", name);
}

Image resize(const Image& image, int width, int height, Filter filter, PassOrder order) {
  return resize(image, width, height, filter,
                {0, 0, static_cast<double>(image.width), static_cast<double>(image.height)}, order);
}

Image resize(const Image& image, int width, int height, Filter filter, const SourceBox& box,
             PassOrder order) {
  check_request(image, width, height, box);
  const Axis across{image.width, width, static_cast<float>(box.x0), static_cast<float>(box.x1)};
  const Axis down{image.height, height, static_cast<float>(box.y0), static_cast<float>(box.y1)};
  const bool horizontal = width != image.width || !covers_whole(across);
  const bool vertical = height != image.height || !covers_whole(down);
  if (!horizontal && !vertical) return image;
  if (filter == Filter::nearest) return resize_nearest(image, across, down);

  if (!vertical) return resize_horizontally(image, 0, height, fixed_weights(across, filter));
  const FixedWeights rows = fixed_weights(down, filter);
  if (!horizontal) return resize_vertically(image, 0, rows);
  const FixedWeights columns = fixed_weights(across, filter);
  if (order == PassOrder::fewest_rows && vertical_pass_first(image, width, height))
    return resize_horizontally(resize_vertically(image, 0, rows), 0, height, columns);
  // Only the rows that some output row reads.
  const int first = rows.windows.front().begin;
  const int last = rows.windows.back().begin + rows.windows.back().count;
  return resize_vertically(resize_horizontally(image, first, last - first, columns), first, rows);
}

}  // namespace vitrail
