#include "image/codec/heif_coded.h"

#ifdef VITRAIL_HEIF
#include <algorithm>
#include <new>
#include <utility>

#include "core/printable.h"
#include "image/codec/byte_arithmetic.h"
#include "image/codec/heif_file.h"
#include "image/codec/hevc_size.h"

namespace vitrail {
namespace {

// How much of red, green and blue a step of Cb and Cr is, in 256ths.
struct ChromaSteps {
  int red_cr = 0, green_cb = 0, green_cr = 0, blue_cb = 0;
};

// Of ITU-R 601, the matrix of JPEG and of phones' cameras, whose luma is 0.299 R + 0.587 G + 0.114
// B.
constexpr ChromaSteps kSteps601{359, -88, -183, 454};

// One channel of a decoded picture.
struct HeifPlane {
  const uint8_t* pixels = nullptr;
  int width = 0, height = 0, stride = 0;
  const uint8_t* row(int y) const { return pixels + static_cast<ptrdiff_t>(y) * stride; }
};

}  // namespace

struct HeifCoded::Native {
  Native(const HeifCoded& owner, heif_image* decoded) : coded(owner), image(decoded) {}
  Native(const Native&) = delete;
  Native& operator=(const Native&) = delete;
  ~Native() {
    if (image != nullptr) coded.library_.image_release(image);
  }
  // Error: of another size.
  HeifPlane plane(heif_channel channel, int width, int height) const {
    HeifPlane plane;
    plane.pixels = coded.library_.plane(image, channel, &plane.stride);
    plane.width = coded.library_.plane_width(image, channel);
    plane.height = coded.library_.plane_height(image, channel);
    if (plane.pixels == nullptr || plane.width != width || plane.height != height)
      coded.picture_.refuse("declares {}x{} pixels and holds {}x{}", width, height, plane.width,
                            plane.height);
    return plane;
  }
  HeifPlane plane(heif_channel channel) const {
    return plane(channel, coded.width(), coded.height());
  }
  int bits(heif_channel channel) const { return coded.library_.plane_bits(image, channel); }

  const HeifCoded& coded;
  heif_image* const image;
};

HeifCoded::HeifCoded(const PictureSource& picture, const HeifItem& item)
    : picture_(picture),
      item_(item),
      library_(HeifLibrary::get()),
      file_(heif_of(item)),
      context_(library_.context_alloc()) {
  if (context_ == nullptr) throw std::bad_alloc();
  try {
    // A side; what an area may be is known from HevcPicture, before anything is decoded.
    constexpr int kMaxSide = 32768;
    library_.set_limit(context_, kMaxSide);
    library_.set_threads(context_, 0);
    step(library_.read(context_, file_.data(), file_.size(), nullptr));
    step(library_.primary(context_, &handle_));
    picture_.check_size(static_cast<uint64_t>(std::max(width(), 0)),
                        static_cast<uint64_t>(std::max(height(), 0)));
    const HeifBox* configuration = item.property("hvcC");
    exact_ = configuration != nullptr && library_.bits(handle_) <= 8 && !item.premultiplied &&
             hevc_picture(configuration->body, {}).only_420();
  } catch (...) {
    if (handle_ != nullptr) library_.handle_release(handle_);
    library_.context_free(context_);
    throw;
  }
}

HeifCoded::~HeifCoded() {
  library_.handle_release(handle_);
  library_.context_free(context_);
}

Image HeifCoded::decode(HeifColors kind) {
  if (kind == HeifColors::of_overlay) return planar(decoded(heif_colorspace_RGB, heif_chroma_444));
  if (exact_) {
    const Native native = decoded(heif_colorspace_YCbCr, heif_chroma_420);
    if (is_full_601(native)) return colors(native);
  }
  if (item_.alpha == 0) {
    // Colours, but of a grey picture its own values.
    const Native native = decoded(heif_colorspace_undefined, heif_chroma_undefined);
    if (library_.colorspace(native.image) == heif_colorspace_monochrome) return grey(native);
  }
  return interleaved(decoded(heif_colorspace_RGB, heif_chroma_interleaved_RGB));
}

Image HeifCoded::decode_luma() {
  const Native native = decoded(heif_colorspace_undefined, heif_chroma_undefined);
  if (library_.colorspace(native.image) == heif_colorspace_RGB)
    picture_.refuse("a HEIF whose transparency is a picture in colours");
  const HeifPlane luma = native.plane(heif_channel_Y);
  const int bits = native.bits(heif_channel_Y);
  Image out(width(), height(), 1);
  for (int y = 0; y < height(); ++y) {
    const uint8_t* from = luma.row(y);
    uint8_t* to = out.row(y);
    for (int x = 0; x < width(); ++x)
      to[x] = bits <= 8 ? from[x]
                        : static_cast<uint8_t>((from[2 * x] | from[2 * x + 1] << 8) >> (bits - 8));
  }
  return out;
}

void HeifCoded::step(const heif_error& error) const {
  if (error.code == heif_error_Ok) return;
  if (error.subcode == heif_suberror_End_of_data) picture_.refuse("the HEIF is truncated");
  if (error.code == heif_error_Unsupported_feature || error.code == heif_error_Unsupported_filetype)
    picture_.refuse("a HEIF of a kind that libheif does not read: {}", printable(error.message));
  picture_.refuse("not a readable HEIF: {}", printable(error.message));
}

HeifCoded::Native HeifCoded::decoded(heif_colorspace space, heif_chroma chroma) {
  struct Options {
    const HeifLibrary& library;
    heif_decoding_options* options;
    ~Options() { library.options_free(options); }
  } owned{library_, library_.options_alloc()};
  if (owned.options == nullptr) throw std::bad_alloc();
  owned.options->convert_hdr_to_8bit = space == heif_colorspace_RGB ? 1 : 0;
  heif_image* image = nullptr;
  step(library_.decode(handle_, &image, space, chroma, owned.options));
  return {*this, image};
}

// Versions of libheif differ by a step in how they round colours of 4:2:0 in full range.
bool HeifCoded::is_full_601(const Native& native) const {
  if (native.bits(heif_channel_Y) != 8 || native.bits(heif_channel_Cb) != 8) return false;
  heif_color_profile_nclx* profile = nullptr;
  // The file's own first: the decoded image of libheif 1.23 says what libheif takes by default.
  if (library_.handle_color_profile(handle_, &profile).code != heif_error_Ok || profile == nullptr)
    if (library_.color_profile(native.image, &profile).code != heif_error_Ok || profile == nullptr)
      return false;
  const int matrix = profile->matrix_coefficients;
  const bool full_range = profile->full_range_flag != 0;
  library_.color_profile_free(profile);
  return full_range && (matrix == 5 || matrix == 6);  // ITU-T H.273, table 4
}

Image HeifCoded::colors(const Native& native) const {
  constexpr ChromaSteps steps = kSteps601;
  const int half_width = (width() + 1) / 2, half_height = (height() + 1) / 2;
  const HeifPlane luma = native.plane(heif_channel_Y),
                  cb = native.plane(heif_channel_Cb, half_width, half_height),
                  cr = native.plane(heif_channel_Cr, half_width, half_height);
  Image out(width(), height(), 3);
  for (int y = 0; y < height(); ++y) {
    const uint8_t *y_row = luma.row(y), *cb_row = cb.row(y / 2), *cr_row = cr.row(y / 2);
    uint8_t* to = out.row(y);
    for (int x = 0; x < width(); ++x, to += 3) {
      const int blue = cb_row[x / 2] - 128, red = cr_row[x / 2] - 128;
      to[0] = clip_to_byte(y_row[x] + ((steps.red_cr * red + 128) >> 8));
      to[1] = clip_to_byte(y_row[x] + ((steps.green_cb * blue + steps.green_cr * red + 128) >> 8));
      to[2] = clip_to_byte(y_row[x] + ((steps.blue_cb * blue + 128) >> 8));
    }
  }
  return out;
}

// More than 8 bits are spread over 16 and then clipped, as Pillow's mode I;16 is.
Image HeifCoded::grey(const Native& native) const {
  const HeifPlane luma = native.plane(heif_channel_Y);
  const int bits = native.bits(heif_channel_Y);
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

Image HeifCoded::interleaved(const Native& native) const {
  const HeifPlane plane = native.plane(heif_channel_interleaved);
  Image out(width(), height(), 3);
  for (int y = 0; y < height(); ++y) std::copy_n(plane.row(y), out.row_bytes(), out.row(y));
  return out;
}

Image HeifCoded::planar(const Native& native) const {
  Image out(width(), height(), 3);
  int channel = 0;
  for (const heif_channel kind : {heif_channel_R, heif_channel_G, heif_channel_B}) {
    const HeifPlane plane = native.plane(kind);
    if (native.bits(kind) != 8)
      picture_.refuse("a HEIF that lays pictures of {} bits on others", native.bits(kind));
    for (int y = 0; y < height(); ++y) {
      uint8_t* to = out.row(y) + channel;
      for (int x = 0; x < width(); ++x, to += 3) *to = plane.row(y)[x];
    }
    ++channel;
  }
  return out;
}

}  // namespace vitrail
#endif
