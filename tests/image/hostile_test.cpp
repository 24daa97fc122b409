// Pictures made to break a reader: every one is a clear Error, or a picture.
#include <cstring>

#include "image/codec.h"
#include "image/golden.h"

namespace vitrail {
namespace {

using Bytes = std::vector<std::byte>;

void put_big(Bytes& bytes, size_t at, uint32_t value, int count) {
  for (int i = 0; i < count; ++i)
    bytes.at(at + static_cast<size_t>(i)) =
        static_cast<std::byte>(value >> (8 * (count - 1 - i)) & 255);
}

std::string refusal(const Bytes& bytes, const DecodeOptions& options = {}) {
  return error_of([&] { decode_picture(bytes, options, "p"); });
}

// A PNG of the golden set that claims other sizes, its checksum repaired.
Bytes png_claiming(uint32_t width, uint32_t height) {
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

Bytes webp_claiming(uint32_t width, uint32_t height) {
  Bytes bytes = golden_bytes("webp_animated.webp");
  for (const auto& [at, value] : {std::pair{size_t{24}, width - 1}, {size_t{27}, height - 1}})
    for (int i = 0; i < 3; ++i)
      bytes.at(at + static_cast<size_t>(i)) = static_cast<std::byte>(value >> (8 * i) & 255);
  return bytes;
}

TEST(Hostile, RefusesHugePicturesBeforeAllocating) {
  for (const Bytes& bytes :
       {png_claiming(60000, 60000), jpeg_claiming(60000, 60000), webp_claiming(60000, 60000)}) {
    EXPECT_LT(bytes.size(), 2048u);
    expect_clear(refusal(bytes), "picture", "p: declares 60000x60000 pixels, above the limit");
  }
  // Below the limit, but no 100 bytes of PNG hold so many.
  expect_clear(refusal(png_claiming(13000, 13000)), "picture", "more than its");
  expect_clear(refusal(png_claiming(0x7FFFFFFF, 0x7FFFFFFF)), "picture", "above the limit");
  EXPECT_NE(refusal(png_claiming(0xFFFFFFFF, 1)), "");
  EXPECT_NE(refusal(png_claiming(0, 5)), "");
  EXPECT_NE(refusal(jpeg_claiming(0, 5)), "");
}

TEST(Hostile, HonoursTheCallersLimits) {
  DecodeOptions options;
  options.max_pixels = 100;
  for (const char* file : {"jpeg_rgb.jpg", "png_filtered.png", "webp_lossy.webp"})
    expect_clear(refusal(golden_bytes(file), options), "picture", "above the limit of 100");
  options = {};
  options.max_file_bytes = 50;
  expect_clear(refusal(golden_bytes("jpeg_rgb.jpg"), options), "picture", "above the limit of 50");
  expect_clear(error_of([&] { load_picture(golden_folder() / "jpeg_rgb.jpg", options); }),
               "picture", "above the limit of 50");
}

TEST(Hostile, RefusesWhatIsNoPicture) {
  expect_clear(refusal({}), "picture", "p: the file is empty");
  expect_clear(refusal(golden_bytes("expected.json")), "picture", "not a JPEG, PNG or WebP");
  expect_clear(error_of([] { load_picture("no/such/file.png"); }), "picture", "no such file");
  expect_clear(error_of([] { load_picture(golden_folder()); }), "picture", "is a directory");
}

// Cut anywhere, a file is refused; cut within its trailer alone, it may still be whole.
TEST(Hostile, RefusesTruncatedFiles) {
  for (const char* file :
       {"jpeg_420_baseline.jpg", "jpeg_420_progressive.jpg", "jpeg_cmyk.jpg", "jpeg_restarts.jpg",
        "png_filtered.png", "png_type2_depth16_interlaced.png", "png_palette_alpha.png",
        "webp_lossy.webp", "webp_lossless.webp", "webp_lossy_alpha.webp", "webp_animated.webp"}) {
    const Bytes whole = golden_bytes(file);
    for (size_t size = 0; size < whole.size(); size += 1 + whole.size() / 97) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      const bool trailer = whole.size() - size <= 16;
      if (trailer)
        refusal(cut);
      else
        expect_clear(refusal(cut), "picture", "p: ");
    }
  }
}

// One byte changed anywhere: an Error or a picture, and nothing else (the sanitizers watch).
TEST(Hostile, SurvivesDamage) {
  DecodeOptions options;
  options.max_pixels = 1 << 16;
  options.exif = ExifPolicy::apply;
  int refused = 0, decoded = 0;
  for (const char* file :
       {"jpeg_422_baseline.jpg", "jpeg_420_progressive.jpg", "jpeg_ycck.jpg", "exif_6.jpg",
        "png_palette_alpha.png", "png_type6_depth16_interlaced.png", "exif_5.png",
        "webp_lossy_alpha.webp", "webp_lossless.webp", "webp_animated_offset.webp",
        "exif_8.webp"}) {
    const Bytes whole = golden_bytes(file);
    const size_t step = 1 + whole.size() / 250;
    for (size_t at = 0; at < whole.size(); at += step)
      for (const int mask : {0x01, 0x80, 0xFF}) {
        Bytes damaged = whole;
        damaged[at] ^= static_cast<std::byte>(mask);
        const std::string message = refusal(damaged, options);
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
  expect_clear(refusal(bytes), "picture", "more than 200 scans");
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
