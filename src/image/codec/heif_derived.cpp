#include "image/codec/heif_derived.h"

#include <algorithm>
#include <cmath>

namespace vitrail {
namespace {

// Version and flags of one byte each; the flag says how wide sizes are.
size_t size_bytes(const PictureSource& picture, HeifNumbers& numbers, std::string_view kind) {
  const uint64_t version = numbers.number(1);
  if (version != 0) picture.refuse("a HEIF whose {} is of version {}", kind, version);
  return (numbers.number(1) & 1) != 0 ? 4 : 2;
}

// A crop (clap), rounded as libheif rounds it; clipped to the picture.
struct Crop {
  int64_t left = 0, top = 0, right = 0, bottom = 0;  // the last two included
};

Crop crop_of(const PictureSource& picture, const HeifBox& box, int64_t width, int64_t height) {
  HeifNumbers numbers(picture, box.body, "clap");
  const auto fraction = [&] {
    const auto above = static_cast<double>(numbers.signed_number(4));
    const auto below = static_cast<double>(numbers.number(4));
    if (below == 0) picture.refuse("not a readable HEIF: its crop divides by zero");
    return above / below;
  };
  const double crop_width = fraction(), crop_height = fraction();
  const double right_of_middle = fraction(), below_middle = fraction();
  const auto round = [](double value) { return static_cast<int64_t>(std::floor(value + 0.5)); };
  const auto middle = [](int64_t side) { return static_cast<double>(side - 1) / 2; };
  Crop crop;
  crop.left =
      static_cast<int64_t>(std::floor(right_of_middle + middle(width) - (crop_width - 1) / 2));
  crop.top = round(below_middle + middle(height) - (crop_height - 1) / 2);
  crop.right = round(crop_width - 1 + static_cast<double>(crop.left));
  crop.bottom = round(crop_height - 1 + static_cast<double>(crop.top));
  crop.left = std::max<int64_t>(crop.left, 0);
  crop.top = std::max<int64_t>(crop.top, 0);
  crop.right = std::min(crop.right, width - 1);
  crop.bottom = std::min(crop.bottom, height - 1);
  if (crop.left > crop.right || crop.top > crop.bottom)
    picture.refuse("not a readable HEIF: its crop lies outside of the picture");
  return crop;
}

Image cropped(const Image& image, const Crop& crop) {
  Image out(static_cast<int>(crop.right - crop.left + 1),
            static_cast<int>(crop.bottom - crop.top + 1), image.channels);
  for (int y = 0; y < out.height; ++y)
    std::copy_n(image.row(static_cast<int>(crop.top) + y) + crop.left * image.channels,
                out.row_bytes(), out.row(y));
  return out;
}

int quarters_of(const PictureSource& picture, const HeifBox& box) {
  return static_cast<int>(HeifNumbers(picture, box.body, "irot").number(1) & 3);
}

}  // namespace

HeifGrid::HeifGrid(const PictureSource& picture, const HeifItem& item) {
  const std::string data = item.data();
  HeifNumbers numbers(picture, data, "grid");
  const size_t bytes = size_bytes(picture, numbers, "grid");
  rows = static_cast<int>(numbers.number(1)) + 1;
  columns = static_cast<int>(numbers.number(1)) + 1;
  width = static_cast<uint32_t>(numbers.number(bytes));
  height = static_cast<uint32_t>(numbers.number(bytes));
  picture.check_size(width, height);
  if (item.made_of.size() != static_cast<size_t>(rows) * static_cast<size_t>(columns))
    picture.refuse("not a readable HEIF: its grid is of {}x{} tiles, and {} are there", columns,
                   rows, item.made_of.size());
}

HeifOverlay::HeifOverlay(const PictureSource& picture, const HeifItem& item) {
  const std::string data = item.data();
  HeifNumbers numbers(picture, data, "iovl");
  const size_t bytes = size_bytes(picture, numbers, "iovl");
  for (uint8_t& value : background) value = static_cast<uint8_t>(numbers.number(2) >> 8);
  numbers.number(2);  // how opaque
  width = static_cast<uint32_t>(numbers.number(bytes));
  height = static_cast<uint32_t>(numbers.number(bytes));
  picture.check_size(width, height);
  for (size_t i = 0; i < item.made_of.size(); ++i) {
    const int64_t x = numbers.signed_number(bytes);
    places.push_back({x, numbers.signed_number(bytes)});
  }
}

void paste(Image& canvas, const Image& from, const Image* alpha, HeifOverlay::Place place) {
  const auto clip = [](int64_t at, int64_t limit) {
    return static_cast<int>(std::clamp<int64_t>(at, 0, limit));
  };
  const int x0 = clip(-place.x, from.width), x1 = clip(canvas.width - place.x, from.width);
  const int y0 = clip(-place.y, from.height), y1 = clip(canvas.height - place.y, from.height);
  if (x0 >= x1) return;
  for (int y = y0; y < y1; ++y) {
    const uint8_t* source = from.row(y) + ptrdiff_t{3} * x0;
    uint8_t* to = canvas.row(static_cast<int>(place.y + y)) + 3 * (place.x + x0);
    if (alpha == nullptr) {
      std::copy_n(source, ptrdiff_t{3} * (x1 - x0), to);
      continue;
    }
    const uint8_t* opacity = alpha->row(y);
    for (int x = x0; x < x1; ++x)
      for (int c = 0; c < 3; ++c, ++to)
        *to = static_cast<uint8_t>((*source++ * opacity[x] + *to * (255 - opacity[x])) / 255);
  }
}

Image transformed(const PictureSource& picture, Image image, const HeifItem& item) {
  constexpr int kQuarters[4] = {1, 8, 3, 6};  // against the clock, as EXIF's orientations
  for (const HeifBox& box : item.properties) {
    if (box.kind == "irot") {
      image = transposed_by_orientation(std::move(image), kQuarters[quarters_of(picture, box)]);
    } else if (box.kind == "imir") {
      const bool sideways = (HeifNumbers(picture, box.body, "imir").number(1) & 1) != 0;
      image = transposed_by_orientation(std::move(image), sideways ? 2 : 4);
    } else if (box.kind == "clap") {
      image = cropped(image, crop_of(picture, box, image.width, image.height));
    }
  }
  return image;
}

HeifSize transformed(const PictureSource& picture, HeifSize size, const HeifItem& item) {
  for (const HeifBox& box : item.properties) {
    if (box.kind == "irot" && quarters_of(picture, box) % 2 != 0) {
      std::swap(size.width, size.height);
    } else if (box.kind == "clap") {
      const Crop crop = crop_of(picture, box, static_cast<int64_t>(size.width),
                                static_cast<int64_t>(size.height));
      size = {static_cast<uint64_t>(crop.right - crop.left + 1),
              static_cast<uint64_t>(crop.bottom - crop.top + 1)};
    }
  }
  return size;
}

}  // namespace vitrail
