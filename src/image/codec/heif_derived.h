// The pictures of a HEIF that are made of others (ISO/IEC 23008-12, 6.6.2): what they say of
// themselves, and how they are put together.
#pragma once

#include <cstdint>
#include <vector>

#include "image/codec/heif_items.h"
#include "image/image.h"

namespace vitrail {

// A canvas of tiles, row by row; what stands over is cut.
struct HeifGrid {
  HeifGrid(const PictureSource& picture, const HeifItem& item);
  int rows = 0, columns = 0;
  uint32_t width = 0, height = 0;
};

// A canvas of one colour, and pictures laid on it one after the other.
struct HeifOverlay {
  HeifOverlay(const PictureSource& picture, const HeifItem& item);
  struct Place {
    int64_t x = 0, y = 0;
  };
  uint8_t background[3] = {};
  uint32_t width = 0, height = 0;
  std::vector<Place> places;  // as many as it is made of
};

// What of `from` lies on the canvas, with its upper left corner at the place; blended where there
// is an `alpha` of the same size, one channel.
void paste(Image& canvas, const Image& from, const Image* alpha, HeifOverlay::Place place);

// Turned, mirrored and cropped as the properties say, in their order.
Image transformed(const PictureSource& picture, Image image, const HeifItem& item);
// The size after that. Error: a crop of nothing.
struct HeifSize {
  uint64_t width = 0, height = 0;
};
HeifSize transformed(const PictureSource& picture, HeifSize size, const HeifItem& item);

}  // namespace vitrail
