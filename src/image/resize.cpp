#include "image/resize.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/error.h"
#include "image/codec/codec.h"
#include "image/row_resizer.h"

namespace vitrail {
namespace {

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

// The rows across, then the columns down.
Image resize_by_rows(const Image& image, const Axis& across, const Axis& down, Filter filter) {
  Image out(across.out, down.out, image.channels);
  RowResizer resizer({.channels = image.channels,
                      .across = across,
                      .down = down,
                      .filter = filter,
                      .keep = {0, 0, across.out, down.out}});
  ImageRows rows(image, resizer.source().y0);
  resizer.run(rows, [&](int y, const uint8_t* pixels) {
    std::copy_n(pixels, out.row_bytes(), out.row(y));
  });
  return out;
}

}  // namespace

bool vertical_pass_first(const Axis& across, const Axis& down) {
  const int64_t fewer_rows = int64_t{down.in} - down.out;
  const int64_t fewer_columns = int64_t{across.in} - across.out;
  return is_resized(across) && is_resized(down) && fewer_rows > 0 && fewer_rows > 2 * fewer_columns;
}

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
  const bool horizontal = is_resized(across), vertical = is_resized(down);
  if (!horizontal && !vertical) return image;
  if (filter == Filter::nearest) return resize_nearest(image, across, down);

  if (order == PassOrder::fewest_rows && vertical_pass_first(across, down)) {
    const Image shrunk = resize_by_rows(image, whole_axis(image.width, image.width), down, filter);
    return resize_by_rows(shrunk, across, whole_axis(height, height), filter);
  }
  return resize_by_rows(image, across, down, filter);
}

}  // namespace vitrail
