// AVIF through libavif, loaded when one comes. How the picture wants to be turned is a property of
// its container; it is turned where EXIF's orientation is applied, as Pillow does.
#include "image/codec/codec_formats.h"

#ifdef VITRAIL_AVIF
#include <avif/avif.h>

#include <cstring>
#include <vector>

#include "core/lazy_library.h"
#include "image/codec/orientation.h"
#include "image/codec/whole_reader.h"

namespace vitrail {
namespace {

struct AvifLibrary {
  decltype(avifDecoderCreate)* create;
  decltype(avifDecoderDestroy)* destroy;
  decltype(avifDecoderSetIOMemory)* set_memory;
  decltype(avifDecoderParse)* parse;
  decltype(avifDecoderNextImage)* next_image;
  decltype(avifRGBImageSetDefaults)* rgb_defaults;
  decltype(avifImageYUVToRGB)* to_rgb;
  decltype(avifResultToString)* message;

  static const AvifLibrary& get() {
    static const AvifLibrary library;
    return library;
  }

 private:
  AvifLibrary() {
    const LazyLibrary library(VITRAIL_AVIF, "picture",
                              "AVIF needs it (Debian 12: libavif15, 13: libavif16)");
    library.find(create, "avifDecoderCreate");
    library.find(destroy, "avifDecoderDestroy");
    library.find(set_memory, "avifDecoderSetIOMemory");
    library.find(parse, "avifDecoderParse");
    library.find(next_image, "avifDecoderNextImage");
    library.find(rgb_defaults, "avifRGBImageSetDefaults");
    library.find(to_rgb, "avifImageYUVToRGB");
    library.find(message, "avifResultToString");
  }
};

// 0: top and bottom change places, 1: left and right. The field is `mode` in libavif 0.11 and
// `axis` from 1.0 on, with the same meaning.
template <typename Mirror>
int mirror_of(const Mirror& mirror) {
  if constexpr (requires { mirror.axis; })
    return mirror.axis;
  else
    return mirror.mode;
}

// irot, then imir (ISO/IEC 23008-12, 6.5.10 and 6.5.12), as EXIF's orientation.
int orientation_of(const avifImage& image) {
  const bool turned = (image.transformFlags & AVIF_TRANSFORM_IROT) != 0;
  const bool mirrored = (image.transformFlags & AVIF_TRANSFORM_IMIR) != 0;
  const int quarters = turned ? image.irot.angle & 3 : 0;  // against the clock
  constexpr int kPlain[4] = {1, 8, 3, 6};
  constexpr int kUpsideDown[4] = {4, 5, 2, 7};     // then top and bottom change
  constexpr int kLeftsideRight[4] = {2, 7, 4, 5};  // then left and right change
  if (!mirrored) return kPlain[quarters];
  return mirror_of(image.imir) == 0 ? kUpsideDown[quarters] : kLeftsideRight[quarters];
}

// An image of more bits without alpha or as grey as one of 8, of which the lower bits are cut: what
// newer versions of libavif do before they make colours of it.
class EightBits {
 public:
  explicit EightBits(const avifImage& image) : image_(image) {
    if (image.depth <= 8 || image.yuvFormat == AVIF_PIXEL_FORMAT_YUV400) return;
    image_.depth = 8;
    image_.imageOwnsYUVPlanes = AVIF_FALSE;
    for (int channel = AVIF_CHAN_Y; channel <= AVIF_CHAN_V; ++channel) cut(image, channel);
  }
  const avifImage& image() const { return image_; }

 private:
  void cut(const avifImage& image, int channel) {
    const bool chroma = channel != AVIF_CHAN_Y;
    const bool half_width = chroma && image.yuvFormat != AVIF_PIXEL_FORMAT_YUV444;
    const bool half_height = chroma && image.yuvFormat == AVIF_PIXEL_FORMAT_YUV420;
    const size_t width = half_width ? (size_t{image.width} + 1) / 2 : image.width;
    const size_t height = half_height ? (size_t{image.height} + 1) / 2 : image.height;
    std::vector<uint8_t>& plane = planes_[channel];
    plane.resize(width * height);
    for (size_t y = 0; y < height; ++y) {
      const uint8_t* from = image.yuvPlanes[channel] + y * image.yuvRowBytes[channel];
      for (size_t x = 0; x < width; ++x) {
        uint16_t value;
        std::memcpy(&value, from + 2 * x, sizeof(value));
        plane[y * width + x] = static_cast<uint8_t>(value >> (image.depth - 8));
      }
    }
    image_.yuvPlanes[channel] = plane.data();
    image_.yuvRowBytes[channel] = static_cast<uint32_t>(width);
  }

  avifImage image_;  // owns nothing: the decoder's and planes_ do
  std::vector<uint8_t> planes_[3];
};

class AvifReader : public WholeReader {
 public:
  explicit AvifReader(const PictureSource& source)
      : picture_(source), library_(AvifLibrary::get()), decoder_(library_.create()) {
    if (decoder_ == nullptr) throw std::bad_alloc();
  }
  ~AvifReader() override { library_.destroy(decoder_); }

  void open() {
    decoder_->maxThreads = 1;
    decoder_->imageSizeLimit = static_cast<uint32_t>(
        std::min<uint64_t>(picture_.max_pixels, AVIF_DEFAULT_IMAGE_SIZE_LIMIT));
    // What Pillow does not ask for either.
    decoder_->strictFlags &= ~static_cast<avifStrictFlags>(AVIF_STRICT_CLAP_VALID);
    decoder_->strictFlags &= ~static_cast<avifStrictFlags>(AVIF_STRICT_PIXI_REQUIRED);
    step(library_.set_memory(decoder_, picture_.data(), picture_.bytes.size()));
    step(library_.parse(decoder_));
    const avifImage& image = *decoder_->image;
    picture_.check_size(image.width, image.height);
    // A sequence may name a size and its frames another: what is kept is checked again in decode().
    grey_ = !decoder_->alphaPresent && image.yuvFormat == AVIF_PIXEL_FORMAT_YUV400;
    set_size(static_cast<int>(image.width), static_cast<int>(image.height), grey_ ? 1 : 3);
    int orientation = orientation_of(image);
    if (orientation == 1)
      orientation = orientation_of_xmp_without_exif(text(image.exif), text(image.xmp));
    set_orientation(orientation);
  }

 protected:
  Image decode() override {
    const auto pixels = static_cast<uint64_t>(width()) * static_cast<uint64_t>(height());
    const avifImage& image = *decoder_->image;
    const uint64_t sample_bytes = image.depth > 8 ? 2 : 1;
    const uint64_t color_channels = decoder_->alphaPresent ? 4 : 3;
    const bool direct = color_channels == static_cast<uint64_t>(channels());
    // Planes in the decoder and of a grid's parts, an alpha's, those cut to 8 bits; then colours.
    const uint64_t halves = image.yuvFormat == AVIF_PIXEL_FORMAT_YUV420   ? 3
                            : image.yuvFormat == AVIF_PIXEL_FORMAT_YUV422 ? 4
                            : image.yuvFormat == AVIF_PIXEL_FORMAT_YUV444 ? 6
                                                                          : 2;
    const uint64_t pixel_bytes = halves * sample_bytes + (image.depth > 8 ? halves / 2 + 1 : 0) +
                                 (decoder_->alphaPresent ? 2 * sample_bytes : 0) + color_channels +
                                 (direct ? 0 : 3);
    const PictureMemory memory = picture_.take_memory(pixels * pixel_bytes);
    // What lies in the container may not be larger than it says.
    constexpr uint64_t kSmall = 1 << 16;
    decoder_->imageSizeLimit = static_cast<uint32_t>(std::max(pixels, kSmall));
    step(library_.next_image(decoder_));
    if (image.width != static_cast<uint32_t>(width()) ||
        image.height != static_cast<uint32_t>(height()))
      picture_.refuse("declares {}x{} pixels and holds {}x{}", width(), height(), image.width,
                      image.height);
    avifRGBImage rgb;
    library_.rgb_defaults(&rgb, &image);
    rgb.depth = 8;
    // With its alpha, so that colours which were multiplied by it are divided again.
    rgb.format = decoder_->alphaPresent ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
    Image out(width(), height(), channels());
    std::vector<uint8_t> room(direct ? 0 : pixels * color_channels);
    rgb.pixels = direct ? out.pixels.data() : room.data();
    rgb.rowBytes = static_cast<uint32_t>(static_cast<uint64_t>(width()) * color_channels);
    if (decoder_->alphaPresent)
      step(library_.to_rgb(&image, &rgb));
    else
      step(library_.to_rgb(&EightBits(image).image(), &rgb));
    const auto out_channels = static_cast<size_t>(channels());
    for (size_t i = 0; i < pixels && !direct; ++i)
      std::copy_n(room.data() + i * color_channels, out_channels,
                  out.pixels.data() + i * out_channels);
    return out;
  }

 private:
  static std::string_view text(const avifRWData& data) {
    return {reinterpret_cast<const char*>(data.data), data.size};
  }
  void step(avifResult result) {
    if (result == AVIF_RESULT_OK) return;
    if (result == AVIF_RESULT_TRUNCATED_DATA) picture_.refuse("the AVIF is truncated");
    picture_.refuse("not a readable AVIF: {}", library_.message(result));
  }

  const PictureSource picture_;
  const AvifLibrary& library_;
  avifDecoder* const decoder_;
  bool grey_ = false;
};

}  // namespace

std::unique_ptr<PictureReader> open_avif(const PictureSource& source) {
  auto reader = std::make_unique<AvifReader>(source);
  reader->open();
  return reader;
}

}  // namespace vitrail
#else
namespace vitrail {
std::unique_ptr<PictureReader> open_avif(const PictureSource& source) {
  source.refuse_as(ErrorCode::unsupported,
                   "is an AVIF, and this Vitrail was built without libavif (Debian: libavif-dev)");
}
}  // namespace vitrail
#endif
