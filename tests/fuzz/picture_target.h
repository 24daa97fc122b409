// Any bytes as a picture: an Error or pixels, never a crash, a leak or a hang. What can be
// read as a whole can be read in part, and is the same picture; but for HEIF, since libde265 leaves
// what damaged data does not say as its memory was.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "core/error.h"
#include "image/codec/codec.h"
#include "image/codec/picture_reader.h"

namespace vitrail::fuzz {

// Some window of the picture; the bytes choose which.
inline PixelWindow window_of(const uint8_t* data, size_t size, int width, int height) {
  const auto pick = [&](size_t salt, int limit) {
    return static_cast<int>((data[size * salt / 5] + 256u * data[size - 1]) %
                            static_cast<unsigned>(limit));
  };
  const int x0 = pick(1, width), y0 = pick(2, height);
  return {x0, y0, x0 + 1 + pick(3, width - x0), y0 + 1 + pick(4, height - y0)};
}

inline void read_in_part(std::span<const std::byte> bytes, const DecodeOptions& options,
                         const PixelWindow& window, const Image& whole) {
  const auto reader = open_picture(bytes, options, "picture");
  const auto channels = static_cast<size_t>(reader->channels());
  const bool repeats = picture_format(bytes) != PictureFormat::heif;
  reader->begin(window);
  std::vector<uint8_t> row(static_cast<size_t>(reader->width()) * channels);
  uint8_t* rows[] = {row.data()};
  for (int y = window.y0; y < window.y1; ++y) {
    reader->read(rows, 1);
    const size_t first = static_cast<size_t>(window.x0) * channels;
    const size_t count = static_cast<size_t>(window.x1 - window.x0) * channels;
    if (repeats && whole.channels == reader->channels() &&
        std::memcmp(row.data() + first, whole.row(y) + first, count) != 0)
      __builtin_trap();
  }
  reader->finish();
}

inline int picture(const uint8_t* data, size_t size) {
  DecodeOptions options;
  options.max_pixels = 1 << 14;  // small pictures: more of them in a minute
  options.max_file_bytes = 1 << 16;
  options.exif = ExifPolicy::apply;
  options.color = size % 2 == 0 ? ColorMode::rgb : ColorMode::grey;
  const auto bytes = std::as_bytes(std::span(data, size));
  Image image;
  try {
    image = decode_picture(bytes, options);
    if (image.pixels.size() != static_cast<size_t>(image.width) * image.height * image.channels)
      __builtin_trap();
  } catch (const Error&) {
    return 0;  // what a stranger's bytes deserve
  }
  try {
    read_in_part(bytes, options, window_of(data, size, image.width, image.height), image);
  } catch (const Error&) {
    __builtin_trap();
  }
  return 0;
}

}  // namespace vitrail::fuzz
