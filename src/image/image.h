// Image: a picture in memory, 8 bits a channel, rows from the top, channels interleaved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vitrail {

struct Image {
  int width = 0;
  int height = 0;
  int channels = 3;             // 3: RGB, 1: grey
  std::vector<uint8_t> pixels;  // height * width * channels

  Image() = default;
  Image(int image_width, int image_height, int image_channels)
      : width(image_width),
        height(image_height),
        channels(image_channels),
        pixels(static_cast<size_t>(image_width) * image_height * image_channels) {}

  size_t row_bytes() const { return static_cast<size_t>(width) * channels; }
  uint8_t* row(int y) { return pixels.data() + static_cast<size_t>(y) * row_bytes(); }
  const uint8_t* row(int y) const { return pixels.data() + static_cast<size_t>(y) * row_bytes(); }
};

// Columns [x0, x1) and rows [y0, y1) of a picture.
struct PixelWindow {
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

enum class ChannelOrder : uint8_t { rgb, bgr, rgba, bgra, grey };
int bytes_per_pixel(ChannelOrder order);

// Somebody else's frame, by pointer. The stride may exceed a row, or be negative (bottom-up, with
// pixels at the top row).
struct ImageView {
  const uint8_t* pixels = nullptr;
  int width = 0;
  int height = 0;
  int64_t row_stride = 0;  // bytes from a row to the next; 0 means rows without padding
  ChannelOrder order = ChannelOrder::rgb;
};

// Copies to RGB; alpha is dropped, as Pillow's convert('RGB') does.
// Error: no pixels, sizes below 1, a stride shorter than a row.
Image to_rgb(const ImageView& view);
// Grey is repeated; RGB is returned as it is.
Image to_rgb(Image image);
// Pillow's convert('L'): (19595 R + 38470 G + 7471 B + 32768) >> 16 (ITU-R 601-2). Same errors.
Image to_grey(const ImageView& view);
Image to_grey(Image image);

// What EXIF asks for when the camera was turned; orientation 1..8 as in EXIF's tag 0x0112.
// The same pixels as Pillow's ImageOps.exif_transpose. Other values leave the picture as it is.
Image transposed_by_orientation(Image image, int orientation);
// Where the pixels of a picture of this size go when it is turned, counted in pixels from the
// turned picture's first.
struct TurnedPlaces {
  int64_t start = 0, down = 0, right = 0;  // of row 0, column 0; a row's step; a column's
  int64_t at(int64_t row, int64_t column) const { return start + row * down + column * right; }
};
TurnedPlaces turned_places(int width, int height, int orientation);

// RGB pixels to grey ones, as to_grey() does.
void row_to_grey(const uint8_t* rgb, int pixels, uint8_t* grey);

}  // namespace vitrail
