#include "image/codec/codec.h"

#include <cstdlib>
#include <set>

#include "image/golden.h"

namespace vitrail {
namespace {

Image decoded(const std::string& file, ColorMode color, ExifPolicy exif) {
  DecodeOptions options;
  options.color = color;
  options.exif = exif;
  return load_picture(golden_folder() / file, options);
}

TEST(Codec, EqualsPillowInEveryMode) {
  std::set<std::string> kinds;
  for (const auto& entry : golden_json("expected.json")) {
    const std::string file = entry.at("file");
    SCOPED_TRACE(file);
    kinds.insert(file.substr(file.rfind('.')));
    const Image rgb = decoded(file, ColorMode::rgb, ExifPolicy::ignore);
    EXPECT_EQ(rgb.width, entry.at("size")[0]);
    EXPECT_EQ(rgb.height, entry.at("size")[1]);
    EXPECT_EQ(rgb.channels, 3);
    EXPECT_EQ(checksum(rgb), entry.at("rgb"));
    if (entry.contains("pixels")) {
      EXPECT_EQ(rgb.pixels, entry.at("pixels").get<std::vector<uint8_t>>());
    }
    const Image grey = decoded(file, ColorMode::grey, ExifPolicy::ignore);
    EXPECT_EQ(grey.channels, 1);
    EXPECT_EQ(checksum(grey), entry.at("grey"));
  }
  EXPECT_EQ(kinds, (std::set<std::string>{".jpg", ".png", ".webp"}));
}

TEST(Codec, AppliesOrientationAsExifTranspose) {
  int turned = 0;
  for (const auto& entry : golden_json("expected.json")) {
    if (!entry.contains("upright")) continue;
    const std::string file = entry.at("file");
    SCOPED_TRACE(file);
    const Image upright = decoded(file, ColorMode::rgb, ExifPolicy::apply);
    EXPECT_EQ(upright.width, entry.at("upright_size")[0]);
    EXPECT_EQ(upright.height, entry.at("upright_size")[1]);
    EXPECT_EQ(checksum(upright), entry.at("upright"));
    turned += entry.at("upright") != entry.at("rgb");
  }
  EXPECT_GE(turned, 25);
}

TEST(Codec, ReadsOrientation) {
  for (const char* ending : {".jpg", ".png", ".webp"})
    for (int orientation = 1; orientation <= 8; ++orientation)
      EXPECT_EQ(picture_orientation(golden_bytes("exif_" + std::to_string(orientation) + ending)),
                orientation);
  EXPECT_EQ(picture_orientation(golden_bytes("exif_long.jpg")), 6);
  EXPECT_EQ(picture_orientation(golden_bytes("exif_nine.jpg")), 1);
  EXPECT_EQ(picture_orientation(golden_bytes("xmp.webp")), 6);
  EXPECT_EQ(picture_orientation(golden_bytes("jpeg_rgb.jpg")), 1);
}

TEST(Codec, RecognisesFormats) {
  EXPECT_EQ(picture_format(golden_bytes("jpeg_rgb.jpg")), PictureFormat::jpeg);
  EXPECT_EQ(picture_format(golden_bytes("png_filtered.png")), PictureFormat::png);
  EXPECT_EQ(picture_format(golden_bytes("webp_lossy.webp")), PictureFormat::webp);
  EXPECT_EQ(picture_format(golden_bytes("gif_87a.gif")), PictureFormat::gif);
  EXPECT_EQ(picture_format(golden_bytes("bmp_24.bmp")), PictureFormat::bmp);
  EXPECT_EQ(picture_format(golden_bytes("bmp_dib.dib")), PictureFormat::dib);
  EXPECT_EQ(picture_format(golden_bytes("tiff_mm_rgb8.tif")), PictureFormat::tiff);
  EXPECT_EQ(picture_format(golden_bytes("avif_420_full.avif")), PictureFormat::avif);
  EXPECT_EQ(picture_format(golden_bytes("heif_420.heic")), PictureFormat::heif);
  EXPECT_EQ(picture_format(golden_bytes("expected.json")), std::nullopt);
  EXPECT_EQ(picture_format({}), std::nullopt);
}

TEST(Codec, PngRoundTrip) {
  for (const int channels : {1, 3}) {
    const Image image = drawn(31, 17, channels);
    DecodeOptions options;
    options.color = channels == 1 ? ColorMode::grey : ColorMode::rgb;
    const Image back = decode_picture(encode_png(image), options);
    EXPECT_EQ(back.pixels, image.pixels);
  }
  Image rgba(5, 4, 4);
  for (size_t i = 0; i < rgba.pixels.size(); ++i) rgba.pixels[i] = static_cast<uint8_t>(3 * i);
  const Image back = decode_picture(encode_png(rgba));
  EXPECT_EQ(back.pixels, to_rgb({rgba.pixels.data(), 5, 4, 0, ChannelOrder::rgba}).pixels);
}

TEST(Codec, JpegIsClose) {
  const Image image(24, 16, 3);
  EXPECT_EQ(decode_picture(encode_jpeg(image, 90)).pixels, image.pixels);
  EXPECT_LT(encode_jpeg(drawn(64, 64, 3), 10).size(), encode_jpeg(drawn(64, 64, 3), 95).size());
  expect_clear(error_if_any([&] { encode_jpeg(image, 0); }), "picture", "quality 0");
}

TEST(Codec, WritesWholeOrNotAtAll) {
  const auto folder = std::filesystem::path(VITRAIL_BINARY_DIR) / "write_png_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const Image image = drawn(9, 7, 3);
  write_png(folder / "a.png", image);
  EXPECT_EQ(load_picture(folder / "a.png").pixels, image.pixels);
  expect_clear(error_if_any([&] { write_png(folder / "missing" / "a.png", image); }), "file",
               "cannot be created");
  expect_clear(error_if_any([&] { write_png(folder, image); }), "file", "is a directory");
  size_t files = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(folder)) ++files;
  EXPECT_EQ(files, 1u);
  std::filesystem::remove_all(folder);
}

// No checksums of others' photographs are kept here: every one must decode, and equal itself when
// turned around four times.
TEST(Codec, ReadsRealPhotographs) {
  const char* set = std::getenv("VITRAIL_SHARED_DATA");
  const std::filesystem::path folder =
      (set != nullptr ? std::filesystem::path(set)
                      : std::filesystem::path(VITRAIL_SOURCE_DIR) / "../shared/data") /
      "imagenet-sample";
  if (!std::filesystem::is_directory(folder))
    GTEST_SKIP() << "no photographs at " << folder << "; VITRAIL_SHARED_DATA names their folder";
  int count = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const Image image = load_picture(file.path());
    Image turned = image;
    for (int i = 0; i < 4; ++i) turned = transposed_by_orientation(std::move(turned), 6);
    EXPECT_EQ(turned.pixels, image.pixels) << file.path();
    ++count;
  }
  EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace vitrail
