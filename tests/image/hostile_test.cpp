// Pictures made to break a reader: every one is a clear Error, or a picture.
#include <cstring>
#include <span>
#include <string_view>

#include "image/codec/codec.h"
#include "image/golden.h"

namespace vitrail {
namespace {

using Bytes = std::vector<std::byte>;

void put_big(Bytes& bytes, size_t at, uint32_t value, int count) {
  for (int i = 0; i < count; ++i)
    bytes.at(at + static_cast<size_t>(i)) =
        static_cast<std::byte>(value >> (8 * (count - 1 - i)) & 255);
}

std::string hostile_refusal(const Bytes& bytes, const DecodeOptions& options = {}) {
  return error_if_any([&] { decode_picture(bytes, options, "p"); });
}

// A PNG of the golden set that claims other sizes, its checksum repaired.
Bytes hostile_png_claiming(uint32_t width, uint32_t height) {
  Bytes bytes = golden_bytes("png_1x1_interlaced.png");
  put_big(bytes, 16, width, 4);
  put_big(bytes, 20, height, 4);
  bytes.at(28) = std::byte{0};  // not interlaced
  put_big(bytes, 29, checksum(bytes.data() + 12, 17), 4);
  return bytes;
}

Bytes jpeg_claiming(uint32_t width, uint32_t height) {
  Bytes bytes = golden_bytes("jpeg_1x1.jpg");
  for (size_t at = 0; at + 9 < bytes.size(); ++at)
    if (bytes[at] == std::byte{0xFF} && bytes[at + 1] == std::byte{0xC0}) {
      put_big(bytes, at + 5, height, 2);
      put_big(bytes, at + 7, width, 2);
      return bytes;
    }
  ADD_FAILURE() << "no frame header";
  return bytes;
}

Bytes hostile_webp_claiming(uint32_t width, uint32_t height) {
  Bytes bytes = golden_bytes("webp_animated.webp");
  for (const auto& [at, value] : {std::pair{size_t{24}, width - 1}, {size_t{27}, height - 1}})
    for (int i = 0; i < 3; ++i)
      bytes.at(at + static_cast<size_t>(i)) = static_cast<std::byte>(value >> (8 * i) & 255);
  return bytes;
}

TEST(Hostile, RefusesHugePicturesBeforeAllocating) {
  for (const Bytes& bytes : {hostile_png_claiming(60000, 60000), jpeg_claiming(60000, 60000),
                             hostile_webp_claiming(60000, 60000)}) {
    EXPECT_LT(bytes.size(), 2048u);
    expect_clear(hostile_refusal(bytes), "picture",
                 "p: declares 60000x60000 pixels, above the limit");
  }
  // Below the limit, but no 100 bytes of PNG hold so many.
  expect_clear(hostile_refusal(hostile_png_claiming(13000, 13000)), "picture", "more than its");
  expect_clear(hostile_refusal(hostile_png_claiming(0x7FFFFFFF, 0x7FFFFFFF)), "picture",
               "above the limit");
  EXPECT_NE(hostile_refusal(hostile_png_claiming(0xFFFFFFFF, 1)), "");
  EXPECT_NE(hostile_refusal(hostile_png_claiming(0, 5)), "");
  EXPECT_NE(hostile_refusal(jpeg_claiming(0, 5)), "");
}

TEST(Hostile, HonoursTheCallersLimits) {
  DecodeOptions options;
  options.max_pixels = 100;
  for (const char* file : {"jpeg_rgb.jpg", "png_filtered.png", "webp_lossy.webp"})
    expect_clear(hostile_refusal(golden_bytes(file), options), "picture", "above the limit of 100");
  options = {};
  options.max_file_bytes = 50;
  expect_clear(hostile_refusal(golden_bytes("jpeg_rgb.jpg"), options), "picture",
               "above the limit of 50");
  expect_clear(error_if_any([&] { load_picture(golden_folder() / "jpeg_rgb.jpg", options); }),
               "picture", "above the limit of 50");
}

TEST(Hostile, RefusesWhatIsNoPicture) {
  expect_clear(hostile_refusal({}), "picture", "p: the file is empty");
  expect_clear(hostile_refusal(golden_bytes("expected.json")), "picture",
               "is no picture of a known format");
  const auto named = [](std::string_view start) {
    const auto bytes = std::as_bytes(std::span(start));
    return hostile_refusal({bytes.begin(), bytes.end()});
  };
  using namespace std::string_view_literals;
  expect_clear(named("\0\0\0\x0CjP  \r\n\x87\n...."sv), "picture",
               "p: is a JPEG 2000 picture; Vitrail reads JPEG, PNG, WebP, GIF");
  expect_clear(named("8BPS\0\1"sv), "picture", "is a Photoshop (PSD) picture");
  expect_clear(named("\0\0\1\0\1\0"sv), "picture", "is an icon (ICO)");
  expect_clear(named("<svg xmlns="sv), "picture", "is an SVG drawing");
  expect_clear(named("\0\0\0\x18"
                     "ftypisom\0\0\2\0"sv),
               "picture", "is a video");
  expect_clear(error_if_any([] { load_picture("no/such/file.png"); }), "picture", "no such file");
  expect_clear(error_if_any([] { load_picture(golden_folder()); }), "picture", "is a directory");
}

// Cut anywhere, a file is refused; cut within its trailer alone, it may still be whole.
TEST(Hostile, RefusesTruncatedFiles) {
  for (const char* file :
       {"jpeg_420_baseline.jpg", "jpeg_420_progressive.jpg", "jpeg_cmyk.jpg", "jpeg_restarts.jpg",
        "png_filtered.png", "png_type2_depth16_interlaced.png", "png_palette_alpha.png",
        "webp_lossy.webp", "webp_lossless.webp", "webp_lossy_alpha.webp", "webp_animated.webp",
        "avif_420_full.avif", "avif_10_444.avif", "heif_420.heic", "heif_422_odd.heic"}) {
    const Bytes whole = golden_bytes(file);
    for (size_t size = 0; size < whole.size(); size += 1 + whole.size() / 97) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      const bool trailer = whole.size() - size <= 16;
      if (trailer)
        hostile_refusal(cut);
      else
        expect_clear(hostile_refusal(cut), "picture", "p: ");
    }
  }
}

// What is small is cut at every byte. The last bytes of these may be padding or a directory's end.
TEST(Hostile, RefusesSmallFilesCutAnywhere) {
  for (const char* file :
       {"gif_256.gif", "gif_3x2_interlaced.gif", "gif_local_palette.gif", "bmp_24.bmp",
        "bmp_8_os2.bmp", "bmp_rle8.bmp", "bmp_32_fields_1.bmp", "bmp_dib_8.dib", "tiff_ii_rgb8.tif",
        "tiff_mm_palette4.tif", "tiff_pillow_group4.tif", "tiff_pillow_jpeg.tif",
        "tiff_tiled_planar.tif", "tiff_bigtiff.tif"}) {
    const Bytes whole = golden_bytes(file);
    for (size_t size = 0; size < whole.size(); ++size) {
      const std::string message =
          hostile_refusal(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)));
      if (whole.size() - size > 16)
        expect_clear(message, "picture", "p: ");
      else if (!message.empty())
        expect_clear(message, "picture", "p: ");
    }
  }
}

TEST(Hostile, RefusesSizesThatNoBitmapHas) {
  for (const auto& [width, height] : {std::pair<uint32_t, uint32_t>{0xFFFFFFEB, 13},
                                      {21, 0x80000000},
                                      {0, 13},
                                      {21, 0},
                                      {0x7FFFFFFF, 0x7FFFFFFF},
                                      {21, 0xFF000000}}) {
    Bytes bytes = golden_bytes("bmp_24.bmp");
    for (int i = 0; i < 4; ++i) {
      bytes[18 + static_cast<size_t>(i)] = static_cast<std::byte>(width >> (8 * i) & 255);
      bytes[22 + static_cast<size_t>(i)] = static_cast<std::byte>(height >> (8 * i) & 255);
    }
    expect_clear(hostile_refusal(bytes), "picture", "p: declares ");
  }
}

// One byte changed anywhere: an Error or a picture, and nothing else (the sanitizers watch).
TEST(Hostile, SurvivesDamage) {
  DecodeOptions options;
  options.max_pixels = 1 << 16;
  options.exif = ExifPolicy::apply;
  int refused = 0, decoded = 0;
  for (const char* file : {"jpeg_422_baseline.jpg",
                           "jpeg_420_progressive.jpg",
                           "jpeg_ycck.jpg",
                           "exif_6.jpg",
                           "png_palette_alpha.png",
                           "png_type6_depth16_interlaced.png",
                           "exif_5.png",
                           "webp_lossy_alpha.webp",
                           "webp_lossless.webp",
                           "webp_animated_offset.webp",
                           "exif_8.webp",
                           "gif_interlaced.gif",
                           "gif_offset_transparent.gif",
                           "bmp_rle4.bmp",
                           "bmp_16_fields_0.bmp",
                           "tiff_pillow_tiff_lzw.tif",
                           "tiff_tiled_planar.tif",
                           "tiff_pillow_jpeg.tif",
                           "tiff_pillow_group3.tif",
                           "avif_alpha.avif",
                           "heif_alpha.heic"}) {
    const Bytes whole = golden_bytes(file);
    const size_t step = 1 + whole.size() / 250;
    for (size_t at = 0; at < whole.size(); at += step)
      for (const int mask : {0x01, 0x80, 0xFF}) {
        Bytes damaged = whole;
        damaged[at] ^= static_cast<std::byte>(mask);
        const std::string message = hostile_refusal(damaged, options);
        (message.empty() ? decoded : refused) += 1;
        if (!message.empty()) expect_clear(message, "picture", "p: ");
      }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(decoded, 100);
}

TEST(Hostile, RefusesTooManyScans) {
  // A progressive file whose last scan is repeated: legal, and as slow as one likes.
  const Bytes whole = golden_bytes("jpeg_444_progressive.jpg");
  size_t scan = 0;
  for (size_t at = 0; at + 1 < whole.size(); ++at)
    if (whole[at] == std::byte{0xFF} && whole[at + 1] == std::byte{0xDA}) scan = at;
  const Bytes last(whole.begin() + static_cast<ptrdiff_t>(scan), whole.end() - 2);
  Bytes bytes(whole.begin(), whole.end() - 2);
  for (int i = 0; i < 400; ++i) bytes.insert(bytes.end(), last.begin(), last.end());
  bytes.insert(bytes.end(), whole.end() - 2, whole.end());
  expect_clear(hostile_refusal(bytes), "picture", "above the limit of 200");
}

TEST(Hostile, IgnoresBrokenExif) {
  // Every byte of the EXIF block in turn set to 255: offsets and counts beyond the end.
  const Bytes whole = golden_bytes("exif_6.jpg");
  for (size_t at = 20; at < 80; ++at) {
    Bytes damaged = whole;
    damaged[at] = std::byte{0xFF};
    const int orientation = picture_orientation(damaged);
    EXPECT_GE(orientation, 1);
    EXPECT_LE(orientation, 8);
  }
}

}  // namespace
}  // namespace vitrail
