// GIF, BMP, TIFF, AVIF and HEIF: what Pillow makes of each picture of make_formats.py.
#include <map>

#include "image/codec/codec.h"
#include "image/codec/picture_reader.h"
#include "image/golden.h"

namespace vitrail {
namespace {

constexpr auto kIgnore = ExifPolicy::ignore;

Image decoded_file(const std::string& file, ColorMode color, ExifPolicy exif) {
  return load_picture(golden_folder() / file, {.exif = exif, .color = color});
}

TEST(Formats, EqualPillow) {
  std::map<std::string, int> kinds;
  for (const auto& entry : golden_json("formats.json")) {
    const std::string file = entry.at("file");
    SCOPED_TRACE(file);
    if (entry.contains("refused")) {
      const std::string message =
          error_if_any([&] { decoded_file(file, ColorMode::rgb, kIgnore); });
      expect_clear(message, "picture", file + ": ");
      continue;
    }
    ++kinds[file.substr(file.rfind('.'))];
    Image rgb, grey, upright;
    EXPECT_NO_THROW(rgb = decoded_file(file, ColorMode::rgb, kIgnore));
    EXPECT_EQ(rgb.width, entry.at("size")[0]);
    EXPECT_EQ(rgb.height, entry.at("size")[1]);
    EXPECT_EQ(checksum(rgb), entry.at("rgb"));
    EXPECT_NO_THROW(grey = decoded_file(file, ColorMode::grey, kIgnore));
    EXPECT_EQ(grey.channels, 1);
    EXPECT_EQ(checksum(grey), entry.at("grey"));
    EXPECT_EQ(
        error_if_any([&] { upright = decoded_file(file, ColorMode::rgb, ExifPolicy::apply); }), "");
    EXPECT_EQ(upright.width, entry.at("upright_size")[0]);
    EXPECT_EQ(checksum(upright), entry.at("upright"));
  }
  EXPECT_GE(kinds[".gif"], 25);
  EXPECT_GE(kinds[".bmp"], 45);
  EXPECT_GE(kinds[".tif"], 90);
  EXPECT_GE(kinds[".avif"], 25);
  EXPECT_GE(kinds[".heic"], 15);
}

}  // namespace
}  // namespace vitrail
