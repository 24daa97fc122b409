#include "image/image.h"

#include <algorithm>
#include <cstdlib>

#include "core/error.h"

namespace vitrail {
namespace {

// Where red, green and blue lie in a pixel.
struct Layout {
  int bytes, red, green, blue;
};

Layout layout_of(ChannelOrder order) {
  switch (order) {
    case ChannelOrder::rgb:
      return {3, 0, 1, 2};
    case ChannelOrder::bgr:
      return {3, 2, 1, 0};
    case ChannelOrder::rgba:
      return {4, 0, 1, 2};
    case ChannelOrder::bgra:
      return {4, 2, 1, 0};
    case ChannelOrder::grey:
      return {1, 0, 0, 0};
  }
  fail("image", "unknown channel order {}", static_cast<int>(order));
}

uint8_t luma(uint32_t red, uint32_t green, uint32_t blue) {
  return static_cast<uint8_t>((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16);
}

void check_channels(const Image& image) {
  check(image.channels == 1 || image.channels == 3, "image", "{} channels, expected 1 or 3",
        image.channels);
}

int64_t checked_stride(const ImageView& view, const Layout& layout) {
  check(view.pixels != nullptr, "image", "the frame has no pixels");
  check(view.width > 0 && view.height > 0, "image", "a frame of {}x{}, expected at least 1x1",
        view.width, view.height);
  const int64_t row = static_cast<int64_t>(view.width) * layout.bytes;
  const int64_t stride = view.row_stride == 0 ? row : view.row_stride;
  check(std::abs(stride) >= row, "image", "a row stride of {} bytes is shorter than a row of {}",
        stride, row);
  return stride;
}

}  // namespace

int bytes_per_pixel(ChannelOrder order) {
  return layout_of(order).bytes;
}

Image to_rgb(const ImageView& view) {
  const Layout layout = layout_of(view.order);
  const int64_t stride = checked_stride(view, layout);
  Image out(view.width, view.height, 3);
  for (int y = 0; y < view.height; ++y) {
    const uint8_t* from = view.pixels + y * stride;
    uint8_t* to = out.row(y);
    for (int x = 0; x < view.width; ++x, from += layout.bytes, to += 3) {
      to[0] = from[layout.red];
      to[1] = from[layout.green];
      to[2] = from[layout.blue];
    }
  }
  return out;
}

Image to_grey(const ImageView& view) {
  const Layout layout = layout_of(view.order);
  const int64_t stride = checked_stride(view, layout);
  Image out(view.width, view.height, 1);
  for (int y = 0; y < view.height; ++y) {
    const uint8_t* from = view.pixels + y * stride;
    uint8_t* to = out.row(y);
    for (int x = 0; x < view.width; ++x, from += layout.bytes)
      to[x] = luma(from[layout.red], from[layout.green], from[layout.blue]);
  }
  return out;
}

Image to_rgb(Image image) {
  check_channels(image);
  if (image.channels == 3) return image;
  return to_rgb({image.pixels.data(), image.width, image.height, 0, ChannelOrder::grey});
}

Image to_grey(Image image) {
  check_channels(image);
  if (image.channels == 1) return image;
  return to_grey({image.pixels.data(), image.width, image.height, 0, ChannelOrder::rgb});
}

TurnedPlaces turned_places(int image_width, int image_height, int orientation) {
  const int64_t width = image_width, height = image_height, last = width * height - 1;
  switch (orientation) {
    case 2:  // mirrored
      return {width - 1, width, -1};
    case 3:  // half a turn
      return {last, -width, -1};
    case 4:  // upside down
      return {width * (height - 1), -width, 1};
    case 5:  // across the main diagonal
      return {0, 1, height};
    case 6:  // a quarter clockwise
      return {height - 1, -1, height};
    case 7:  // across the other diagonal
      return {last, -1, -height};
    case 8:  // a quarter counter-clockwise
      return {height * (width - 1), 1, -height};
    default:
      return {0, width, 1};
  }
}

Image transposed_by_orientation(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const TurnedPlaces places = turned_places(image.width, image.height, orientation);
  const bool across = orientation >= 5;
  Image out(across ? image.height : image.width, across ? image.width : image.height,
            image.channels);
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* from = image.row(y);
    for (int x = 0; x < image.width; ++x, from += image.channels)
      std::copy_n(from, image.channels, out.pixels.data() + places.at(y, x) * image.channels);
  }
  return out;
}

void row_to_grey(const uint8_t* rgb, int pixels, uint8_t* grey) {
  for (int x = 0; x < pixels; ++x, rgb += 3) grey[x] = luma(rgb[0], rgb[1], rgb[2]);
}

}  // namespace vitrail
