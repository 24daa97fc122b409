// HEIF with HEVC inside (.heic). Its boxes are read here, its coded pictures by libheif, and what
// is made of several of them, as phones' pictures are, is put together here. Pixels are
// pillow-heif's: cropped, turned and mirrored as the container says.
#include "image/codec/codec_formats.h"

#ifdef VITRAIL_HEIF
#include <optional>
#include <utility>

#include "image/codec/byte_arithmetic.h"
#include "image/codec/heif_coded.h"
#include "image/codec/heif_cost.h"
#include "image/codec/heif_derived.h"
#include "image/codec/heif_items.h"
#include "image/codec/whole_reader.h"

namespace vitrail {
namespace {

class HeifReader : public WholeReader {
 public:
  explicit HeifReader(const PictureSource& source)
      : picture_(source), items_(picture_), cost_(HeifCost(picture_, items_).cost()) {}

  void open() {
    const HeifSize size = size_of(items_.item(items_.primary()));
    picture_.check_size(size.width, size.height);
    set_size(static_cast<int>(size.width), static_cast<int>(size.height), 3);
  }

 protected:
  Image decode() override {
    const PictureMemory memory = picture_.take_memory(cost_.bytes);
    Image image = made(items_.item(items_.primary()), HeifColors::of_picture);
    check_size(image, width(), height());
    return image;
  }

 private:
  // As the picture's boxes say it.
  HeifSize size_of(const HeifItem& item) const {
    if (item.is_coded()) {
      const HeifCoded coded(picture_, item);
      return {static_cast<uint64_t>(coded.width()), static_cast<uint64_t>(coded.height())};
    }
    HeifSize size;
    if (item.kind == "grid") {
      const HeifGrid grid(picture_, item);
      size = {grid.width, grid.height};
    } else if (item.kind == "iovl") {
      const HeifOverlay overlay(picture_, item);
      size = {overlay.width, overlay.height};
    } else {
      size = size_of(items_.item(item.made_of[0]));
    }
    return transformed(picture_, size, item);
  }

  void check_size(const Image& image, int width, int height) const {
    if (image.width != width || image.height != height)
      picture_.refuse("declares {}x{} pixels and holds {}x{}", width, height, image.width,
                      image.height);
  }

  // HeifCost has been through all of it: it ends, and no canvas is too large.
  Image made(const HeifItem& item, HeifColors kind) const {
    if (item.is_coded()) return coded(item, kind);
    Image image = item.kind == "grid"   ? of_tiles(item, kind)
                  : item.kind == "iovl" ? overlaid(item)
                                        : made(items_.item(item.made_of[0]), kind);
    return transformed(picture_, std::move(image), item);
  }

  Image coded(const HeifItem& item, HeifColors kind) const {
    Image image = HeifCoded(picture_, item).decode(kind);
    if (!item.premultiplied || item.alpha == 0) return image;
    const Image alpha = opacity(item, image);
    for (size_t i = 0; i < alpha.pixels.size(); ++i)
      if (const int value = alpha.pixels[i]; value != 0 && value != 255)
        for (size_t c = 3 * i; c < 3 * i + 3; ++c)
          image.pixels[c] = clip_to_byte(255 * image.pixels[c] / value);
    return image;
  }

  Image opacity(const HeifItem& item, const Image& image) const {
    Image alpha = HeifCoded(picture_, items_.item(item.alpha)).decode_luma();
    check_size(alpha, image.width, image.height);
    return alpha;
  }

  Image of_tiles(const HeifItem& item, HeifColors kind) const {
    const HeifGrid grid(picture_, item);
    Image canvas(static_cast<int>(grid.width), static_cast<int>(grid.height), 3);
    int width = 0, height = 0;
    for (int row = 0; row < grid.rows; ++row)
      for (int column = 0; column < grid.columns; ++column) {
        const size_t index = static_cast<size_t>(row * grid.columns + column);
        const Image tile = made(items_.item(item.made_of[index]), kind);
        if (index == 0) {
          width = tile.width, height = tile.height;
          if (int64_t{width} * grid.columns < canvas.width ||
              int64_t{height} * grid.rows < canvas.height)
            picture_.refuse("a HEIF of {}x{} tiles, {}x{} of them, for {}x{} pixels", width, height,
                            grid.columns, grid.rows, canvas.width, canvas.height);
        }
        check_size(tile, width, height);
        paste(canvas, tile, nullptr, {int64_t{width} * column, int64_t{height} * row});
      }
    return canvas;
  }

  Image overlaid(const HeifItem& item) const {
    const HeifOverlay overlay(picture_, item);
    Image canvas(static_cast<int>(overlay.width), static_cast<int>(overlay.height), 3);
    for (size_t i = 0; i < canvas.pixels.size(); ++i) canvas.pixels[i] = overlay.background[i % 3];
    for (size_t i = 0; i < item.made_of.size(); ++i) {
      const HeifItem& part = items_.item(item.made_of[i]);
      const Image image = made(part, HeifColors::of_overlay);
      std::optional<Image> alpha;
      if (part.alpha != 0) alpha = opacity(part, image);
      paste(canvas, image, alpha ? &*alpha : nullptr, overlay.places[i]);
    }
    return canvas;
  }

  const PictureSource picture_;
  const HeifItems items_;
  const HeifCost::Cost cost_;
};

}  // namespace

std::unique_ptr<PictureReader> open_heif(const PictureSource& source) {
  auto reader = std::make_unique<HeifReader>(source);
  reader->open();
  return reader;
}

}  // namespace vitrail
#else
namespace vitrail {
std::unique_ptr<PictureReader> open_heif(const PictureSource& source) {
  source.refuse("is a HEIF, and this Vitrail was built without libheif (Debian: libheif-dev)");
}
}  // namespace vitrail
#endif
