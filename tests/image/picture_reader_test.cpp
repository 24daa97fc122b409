#include "image/codec/picture_reader.h"

#include "image/golden.h"
#include "image/preprocess/preprocess.h"
#include "support/temporary_folder.h"

namespace vitrail {
namespace {

// The window's pixels, read `step` rows at a time into rows that hold something else before.
Image read_window(const std::vector<std::byte>& bytes, const std::string& name,
                  const PixelWindow& window, int step) {
  const auto reader = open_picture(bytes, {}, name);
  reader->begin(window);
  const int channels = reader->channels();
  Image strip(reader->width(), step, channels);
  std::fill(strip.pixels.begin(), strip.pixels.end(), uint8_t{0xA5});
  Image out(window.x1 - window.x0, window.y1 - window.y0, channels);
  for (int y = 0; y < out.height; y += step) {
    const int count = std::min(step, out.height - y);
    std::vector<uint8_t*> rows;
    for (int i = 0; i < count; ++i) rows.push_back(strip.row(i));
    reader->read(rows.data(), count);
    for (int i = 0; i < count; ++i)
      std::copy_n(strip.row(i) + window.x0 * channels, out.row_bytes(), out.row(y + i));
  }
  reader->finish();
  return out;
}

Image part_of(const Image& whole, const PixelWindow& window) {
  Image out(window.x1 - window.x0, window.y1 - window.y0, whole.channels);
  for (int y = 0; y < out.height; ++y)
    std::copy_n(whole.row(window.y0 + y) + window.x0 * whole.channels, out.row_bytes(), out.row(y));
  return out;
}

void expect_windows_equal_the_whole(const std::vector<std::byte>& bytes, const std::string& name) {
  const Image whole = open_picture(bytes, {}, name)->read_all();
  const int steps[] = {1, 3, 16};
  int i = 0;
  for (int x0 = 0; x0 < whole.width; x0 += 1 + whole.width / 11)
    for (int x1 = x0 + 1; x1 <= whole.width; x1 += 1 + whole.width / 9)
      for (int y0 = 0; y0 < whole.height; y0 += 1 + whole.height / 8)
        for (int y1 = y0 + 1; y1 <= whole.height; y1 += 1 + whole.height / 3) {
          const PixelWindow window{x0, y0, x1, y1};
          ASSERT_EQ(read_window(bytes, name, window, steps[i++ % 3]).pixels,
                    part_of(whole, window).pixels)
              << name << ": columns " << x0 << " to " << x1 << ", rows " << y0 << " to " << y1;
        }
}

TEST(PictureReader, WindowsOfEveryGoldenEqualTheWhole) {
  int files = 0;
  for (const auto& entry : golden_json("expected.json")) {
    const std::string file = entry.at("file");
    expect_windows_equal_the_whole(golden_bytes(file), file);
    ++files;
  }
  EXPECT_GT(files, 80);
}

TEST(PictureReader, WindowsOfALargerPhotographEqualTheWhole) {
  for (const int channels : {1, 3})
    expect_windows_equal_the_whole(encode_jpeg(drawn(233, 190, channels), 85), "drawn");
}

// Rows through decoder, filter and floats give what the picture as a whole gives.
TEST(PictureReader, ApplyFileEqualsApplyOfThePicture) {
  const testing::TemporaryFolder folder("apply_file");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : golden_json("expected.json"))
    files.push_back(golden_folder() / entry.at("file").get<std::string>());
  const auto photo = encode_jpeg(drawn(341, 256, 3), 90);
  files.emplace_back(folder / "photo.jpg");
  std::ofstream(files.back(), std::ios::binary)
      .write(reinterpret_cast<const char*>(photo.data()),
             static_cast<std::streamsize>(photo.size()));

  std::vector<Preprocess> rules(6);
  rules[0].resize = ResizeMode::shortest_edge;
  rules[0].resize_to = {26, 26};
  rules[0].crop = CropRule::torchvision;
  rules[0].crop_to = {21, 24};
  rules[1].resize = ResizeMode::none;
  rules[1].crop = CropRule::huggingface;
  rules[1].crop_to = {40, 50};  // padded, or cut
  rules[1].fill = {3, 100, 250};
  rules[1].exif = ExifPolicy::apply;
  rules[2].resize_to = {31, 19};
  rules[2].filter = Filter::nearest;
  rules[3].resize_to = {9, 60};
  rules[3].passes = PassOrder::fewest_rows;
  rules[3].arithmetic = Arithmetic::huggingface;
  rules[4].resize_to = {17, 18};
  rules[4].filter = Filter::bilinear;
  rules[4].rescale_first = true;
  rules[5].channels = 1;
  rules[5].resize_to = {33, 12};
  for (const Preprocess& rule : rules)
    for (const auto& file : files) {
      const PictureSize size = fixed_output_size(rule);
      std::vector<float> rows(static_cast<size_t>(size.height) * size.width * rule.channels, -9.0f);
      std::vector<float> whole = rows;
      const PreprocessResult geometry = apply_file(file, rule, rows.data());
      const Image image = load_picture(file, rule.decode_options());
      const PreprocessResult expected = apply(image, rule, whole.data());
      ASSERT_EQ(rows, whole) << file;
      EXPECT_EQ(geometry.box.x0, expected.box.x0);
      EXPECT_EQ(geometry.resized_width, expected.resized_width);
      // And the picture that the model saw is the one that became floats.
      const Image seen = apply_geometry(image, rule);
      std::vector<float> again(whole.size());
      if (rule.rescale_first) continue;
      Preprocess only_floats = rule;
      only_floats.resize = ResizeMode::none;
      only_floats.crop = CropRule::none;
      apply(seen, only_floats, again.data());
      ASSERT_EQ(again, whole) << file;
    }
}

// What load_picture refuses, apply_file refuses in the same words, however little it needed.
TEST(PictureReader, RefusesWhatTheWholePictureRefuses) {
  const testing::TemporaryFolder folder("refused");
  Preprocess rule;
  rule.resize = ResizeMode::none;
  rule.crop = CropRule::torchvision;
  rule.crop_to = {4, 4};
  std::vector<float> out(3 * 4 * 4);
  int refused = 0, accepted = 0;
  for (const char* name : {"jpeg_420_baseline.jpg", "jpeg_420_progressive.jpg", "jpeg_restarts.jpg",
                           "jpeg_cmyk.jpg", "png_filtered.png", "webp_lossy.webp"}) {
    const std::vector<std::byte> whole = golden_bytes(name);
    const auto compare = [&](const std::vector<std::byte>& bytes) {
      const std::filesystem::path file = folder / "picture";
      std::ofstream(file, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
      const std::string expected = error_if_any([&] { load_picture(file); });
      EXPECT_EQ(error_if_any([&] { apply_file(file, rule, out.data()); }), expected) << name;
      (expected.empty() ? accepted : refused) += 1;
    };
    for (size_t size = 1; size < whole.size(); size += 1 + whole.size() / 40)
      compare({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)});
    for (size_t at = 0; at < whole.size(); at += 1 + whole.size() / 120) {
      std::vector<std::byte> damaged = whole;
      damaged[at] ^= std::byte{0xFF};
      compare(damaged);
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(accepted, 50);
}

}  // namespace
}  // namespace vitrail
