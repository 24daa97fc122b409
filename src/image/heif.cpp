// HEIF with HEVC inside (.heic) through libheif, loaded when one comes. Pixels are pillow-heif's:
// cropped, turned and mirrored as the container says.
#include "image/codec_formats.h"

#ifdef VITRAIL_HEIF
#include <libheif/heif.h>

#include <algorithm>
#include <new>
#include <utility>

#include "core/lazy_library.h"
#include "core/printable.h"
#include "image/byte_arithmetic.h"
#include "image/hevc_size.h"
#include "image/whole_reader.h"

namespace vitrail {
namespace {

struct HeifLibrary {
  decltype(heif_context_alloc)* context_alloc;
  decltype(heif_context_free)* context_free;
  decltype(heif_context_read_from_memory_without_copy)* read;
  decltype(heif_context_set_maximum_image_size_limit)* set_limit;
  decltype(heif_context_set_max_decoding_threads)* set_threads;
  decltype(heif_context_get_primary_image_handle)* primary;
  decltype(heif_image_handle_release)* handle_release;
  decltype(heif_image_handle_get_width)* width;
  decltype(heif_image_handle_get_height)* height;
  decltype(heif_image_handle_get_ispe_width)* stored_width;
  decltype(heif_image_handle_get_ispe_height)* stored_height;
  decltype(heif_image_handle_has_alpha_channel)* has_alpha;
  decltype(heif_image_handle_is_premultiplied_alpha)* is_premultiplied;
  decltype(heif_image_handle_get_luma_bits_per_pixel)* bits;
  decltype(heif_decoding_options_alloc)* options_alloc;
  decltype(heif_decoding_options_free)* options_free;
  decltype(heif_decode_image)* decode;
  decltype(heif_image_release)* image_release;
  decltype(heif_image_get_colorspace)* colorspace;
  decltype(heif_image_get_width)* plane_width;
  decltype(heif_image_get_height)* plane_height;
  decltype(heif_image_get_bits_per_pixel_range)* plane_bits;
  decltype(heif_image_get_plane_readonly)* plane;
  decltype(heif_image_get_nclx_color_profile)* color_profile;
  decltype(heif_image_handle_get_nclx_color_profile)* handle_color_profile;
  decltype(heif_nclx_color_profile_free)* color_profile_free;

  static const HeifLibrary& get() {
    static const HeifLibrary library;
    return library;
  }

 private:
  HeifLibrary() {
    const LazyLibrary library(VITRAIL_HEIF, "picture", "HEIF needs it (Debian: libheif1)");
    library.find(context_alloc, "heif_context_alloc");
    library.find(context_free, "heif_context_free");
    library.find(read, "heif_context_read_from_memory_without_copy");
    library.find(set_limit, "heif_context_set_maximum_image_size_limit");
    library.find(set_threads, "heif_context_set_max_decoding_threads");
    library.find(primary, "heif_context_get_primary_image_handle");
    library.find(handle_release, "heif_image_handle_release");
    library.find(width, "heif_image_handle_get_width");
    library.find(height, "heif_image_handle_get_height");
    library.find(stored_width, "heif_image_handle_get_ispe_width");
    library.find(stored_height, "heif_image_handle_get_ispe_height");
    library.find(has_alpha, "heif_image_handle_has_alpha_channel");
    library.find(is_premultiplied, "heif_image_handle_is_premultiplied_alpha");
    library.find(bits, "heif_image_handle_get_luma_bits_per_pixel");
    library.find(options_alloc, "heif_decoding_options_alloc");
    library.find(options_free, "heif_decoding_options_free");
    library.find(decode, "heif_decode_image");
    library.find(image_release, "heif_image_release");
    library.find(colorspace, "heif_image_get_colorspace");
    library.find(plane_width, "heif_image_get_width");
    library.find(plane_height, "heif_image_get_height");
    library.find(plane_bits, "heif_image_get_bits_per_pixel_range");
    library.find(plane, "heif_image_get_plane_readonly");
    library.find(color_profile, "heif_image_get_nclx_color_profile");
    library.find(handle_color_profile, "heif_image_handle_get_nclx_color_profile");
    library.find(color_profile_free, "heif_nclx_color_profile_free");
  }
};

// One channel of a decoded picture.
struct Plane {
  const uint8_t* pixels = nullptr;
  int width = 0, height = 0, stride = 0;
  const uint8_t* row(int y) const { return pixels + static_cast<ptrdiff_t>(y) * stride; }
};

class HeifImage {
 public:
  HeifImage(const HeifLibrary& library, heif_image* image) : library_(library), image_(image) {}
  HeifImage(HeifImage&& other) noexcept
      : library_(other.library_), image_(std::exchange(other.image_, nullptr)) {}
  HeifImage& operator=(HeifImage&&) = delete;
  ~HeifImage() {
    if (image_ != nullptr) library_.image_release(image_);
  }
  heif_image* get() const { return image_; }
  Plane plane(heif_channel channel) const {
    Plane plane;
    plane.pixels = library_.plane(image_, channel, &plane.stride);
    plane.width = library_.plane_width(image_, channel);
    plane.height = library_.plane_height(image_, channel);
    return plane;
  }

 private:
  const HeifLibrary& library_;
  heif_image* image_;
};

// How much of red, green and blue a step of Cb and Cr is, in 256ths.
struct ChromaSteps {
  int red_cr = 0, green_cb = 0, green_cr = 0, blue_cb = 0;
};

// Of ITU-R 601, the matrix of JPEG and of phones' cameras, whose luma is 0.299 R + 0.587 G + 0.114
// B.
constexpr ChromaSteps kSteps601{359, -88, -183, 454};

class HeifReader : public WholeReader {
 public:
  explicit HeifReader(const PictureSource& source)
      : picture_(source), library_(HeifLibrary::get()), context_(library_.context_alloc()) {
    if (context_ == nullptr) throw std::bad_alloc();
  }
  ~HeifReader() override {
    if (handle_ != nullptr) library_.handle_release(handle_);
    library_.context_free(context_);
  }

  void open() {
    // A side; what an area may be is checked below, before anything is decoded.
    constexpr int kMaxSide = 32768;
    library_.set_limit(context_, kMaxSide);
    library_.set_threads(context_, 0);
    step(library_.read(context_, picture_.data(), picture_.bytes.size(), nullptr));
    step(library_.primary(context_, &handle_));
    const int width = library_.width(handle_), height = library_.height(handle_);
    picture_.check_size(static_cast<uint64_t>(std::max(width, 0)),
                        static_cast<uint64_t>(std::max(height, 0)));
    set_size(width, height, 3);
    // A crop may hide that the picture is larger.
    const auto stored_width = static_cast<uint64_t>(std::max(library_.stored_width(handle_), 1));
    const auto stored_height = static_cast<uint64_t>(std::max(library_.stored_height(handle_), 1));
    picture_.check_size(stored_width, stored_height);
    hevc_ = hevc_pictures(picture_.bytes);
    stored_pixels_ = std::max(stored_width * stored_height,
                              static_cast<uint64_t>(width) * static_cast<uint64_t>(height));
    stored_pixels_ = std::max(stored_pixels_, hevc_.pixels);
  }

 protected:
  Image decode() override {
    const uint64_t sample_bytes = library_.bits(handle_) > 8 ? 2 : 1;
    // Planes in the decoder and in the library, and colours twice where they are the library's.
    const uint64_t pixel_bytes = hevc_.only_420 && sample_bytes == 1 ? 9 : 6 * sample_bytes + 7;
    if (stored_pixels_ > picture_.max_pixels)
      picture_.refuse("holds {} pixels, above the limit of {}", stored_pixels_,
                      picture_.max_pixels);
    const PictureMemory memory = picture_.take_memory(stored_pixels_ * pixel_bytes);
    const bool alpha = library_.has_alpha(handle_) != 0;
    if (sample_bytes == 1 && !is_premultiplied() && hevc_.only_420) {
      const HeifImage native = decoded(heif_colorspace_YCbCr, heif_chroma_420);
      if (is_full_601(native)) return colors(native);
    }
    if (!alpha) {
      // Colours, but of a grey picture its own values.
      const HeifImage native = decoded(heif_colorspace_undefined, heif_chroma_undefined);
      if (library_.colorspace(native.get()) == heif_colorspace_monochrome) return grey(native);
    }
    return interleaved(decoded(heif_colorspace_RGB,
                               alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB),
                       alpha);
  }

 private:
  bool is_premultiplied() const { return library_.is_premultiplied(handle_) != 0; }

  void step(const heif_error& error) {
    if (error.code == heif_error_Ok) return;
    if (error.subcode == heif_suberror_End_of_data) picture_.refuse("the HEIF is truncated");
    if (error.code == heif_error_Unsupported_feature ||
        error.code == heif_error_Unsupported_filetype)
      picture_.refuse("a HEIF of a kind that libheif does not read: {}", printable(error.message));
    picture_.refuse("not a readable HEIF: {}", printable(error.message));
  }

  HeifImage decoded(heif_colorspace space, heif_chroma chroma) {
    struct Options {
      const HeifLibrary& library;
      heif_decoding_options* options;
      ~Options() { library.options_free(options); }
    } owned{library_, library_.options_alloc()};
    if (owned.options == nullptr) throw std::bad_alloc();
    owned.options->convert_hdr_to_8bit = space == heif_colorspace_RGB ? 1 : 0;
    heif_image* image = nullptr;
    step(library_.decode(handle_, &image, space, chroma, owned.options));
    return {library_, image};
  }

  void check_plane(const Plane& plane, int width, int height) {
    if (plane.pixels == nullptr || plane.width != width || plane.height != height)
      picture_.refuse("declares {}x{} pixels and holds {}x{}", width, height, plane.width,
                      plane.height);
  }

  // Versions of libheif differ by a step in how they round colours of 4:2:0 in full range.
  bool is_full_601(const HeifImage& native) const {
    if (library_.plane_bits(native.get(), heif_channel_Y) != 8 ||
        library_.plane_bits(native.get(), heif_channel_Cb) != 8)
      return false;
    heif_color_profile_nclx* profile = nullptr;
    if (library_.color_profile(native.get(), &profile).code != heif_error_Ok || profile == nullptr)
      if (library_.handle_color_profile(handle_, &profile).code != heif_error_Ok ||
          profile == nullptr)
        return false;
    const int matrix = profile->matrix_coefficients;
    const bool full_range = profile->full_range_flag != 0;
    library_.color_profile_free(profile);
    return full_range && (matrix == 5 || matrix == 6);  // ITU-T H.273, table 4
  }

  Image colors(const HeifImage& native) {
    constexpr ChromaSteps steps = kSteps601;
    const Plane luma = native.plane(heif_channel_Y), cb = native.plane(heif_channel_Cb),
                cr = native.plane(heif_channel_Cr);
    check_plane(luma, width(), height());
    check_plane(cb, (width() + 1) / 2, (height() + 1) / 2);
    check_plane(cr, cb.width, cb.height);
    Image out(width(), height(), 3);
    for (int y = 0; y < height(); ++y) {
      const uint8_t *y_row = luma.row(y), *cb_row = cb.row(y / 2), *cr_row = cr.row(y / 2);
      uint8_t* to = out.row(y);
      for (int x = 0; x < width(); ++x, to += 3) {
        const int blue = cb_row[x / 2] - 128, red = cr_row[x / 2] - 128;
        to[0] = clip_to_byte(y_row[x] + ((steps.red_cr * red + 128) >> 8));
        to[1] =
            clip_to_byte(y_row[x] + ((steps.green_cb * blue + steps.green_cr * red + 128) >> 8));
        to[2] = clip_to_byte(y_row[x] + ((steps.blue_cb * blue + 128) >> 8));
      }
    }
    return out;
  }

  // More than 8 bits are spread over 16 and then clipped, as Pillow's mode I;16 is.
  Image grey(const HeifImage& native) {
    const Plane luma = native.plane(heif_channel_Y);
    check_plane(luma, width(), height());
    const int bits = library_.plane_bits(native.get(), heif_channel_Y);
    Image out(width(), height(), 3);
    for (int y = 0; y < height(); ++y) {
      const uint8_t* from = luma.row(y);
      uint8_t* to = out.row(y);
      for (int x = 0; x < width(); ++x) {
        const int value = bits <= 8 ? from[x] : (from[2 * x] | from[2 * x + 1] << 8) << (16 - bits);
        to = std::fill_n(to, 3, clip_to_byte(value));
      }
    }
    return out;
  }

  Image interleaved(const HeifImage& image, bool alpha) {
    const Plane plane = image.plane(heif_channel_interleaved);
    check_plane(plane, width(), height());
    const bool divide = alpha && is_premultiplied();
    Image out(width(), height(), 3);
    for (int y = 0; y < height(); ++y) {
      const uint8_t* from = plane.row(y);
      uint8_t* to = out.row(y);
      for (int x = 0; x < width(); ++x, from += alpha ? 4 : 3)
        for (int c = 0; c < 3; ++c)
          *to++ = divide && from[3] != 0 && from[3] != 255 ? clip_to_byte(255 * from[c] / from[3])
                                                           : from[c];
    }
    return out;
  }

  const PictureSource picture_;
  const HeifLibrary& library_;
  heif_context* const context_;
  heif_image_handle* handle_ = nullptr;
  uint64_t stored_pixels_ = 0;
  HevcPictures hevc_;
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
