#include "image/preprocess.h"

#include "image/golden.h"

namespace vitrail {
namespace {

using nlohmann::json;

Preprocess read_config(const json& entry) {
  return entry.at("kind") == "timm" ? from_timm(entry.at("config")) : from_hf(entry.at("config"));
}

TEST(Preprocess, EqualsTimmAndTransformersBitForBit) {
  int exact = 0, close = 0;
  for (const auto& entry : golden_json("preprocess.json")) {
    SCOPED_TRACE(entry.at("config").dump() + entry.at("from").dump());
    const auto from = entry.at("from").get<std::vector<int>>();
    Preprocess preprocess = read_config(entry);
    preprocess.passes = PassOrder::fewest_rows;  // the goldens are Pillow 13's
    const PreprocessResult geometry = preprocess_geometry(from[0], from[1], preprocess);
    const std::vector<int> shape{preprocess.channels, geometry.height, geometry.width};
    ASSERT_EQ(shape, entry.at("shape").get<std::vector<int>>());
    std::vector<float> out(static_cast<size_t>(shape[0]) * shape[1] * shape[2]);
    apply(drawn(from[0], from[1], from[2]), preprocess, out.data());
    if (entry.contains("crc")) {
      EXPECT_EQ(checksum(out.data(), out.size() * sizeof(float)), entry.at("crc"));
      ++exact;
    } else {
      const auto expected = entry.at("every_17th").get<std::vector<float>>();
      for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(out.at(17 * i), expected[i], 3e-6f);
      ++close;
    }
  }
  EXPECT_EQ(exact, 19 * 9);
  EXPECT_EQ(close, 9);
}

TEST(Preprocess, MapsTheCropOntoThePhoto) {
  Preprocess p;
  p.resize = ResizeMode::shortest_edge;
  p.resize_to = {100, 100};
  p.crop = CropRule::torchvision;
  p.crop_to = {80, 80};
  const PreprocessResult result = preprocess_geometry(400, 200, p);
  EXPECT_EQ(result.resized_width, 200);
  EXPECT_EQ(result.resized_height, 100);
  EXPECT_DOUBLE_EQ(result.box.x0, 120);
  EXPECT_DOUBLE_EQ(result.box.y0, 20);
  EXPECT_DOUBLE_EQ(result.box.x1, 280);
  EXPECT_DOUBLE_EQ(result.box.y1, 180);
  p.crop_to = {120, 80};  // padded above and below
  EXPECT_DOUBLE_EQ(preprocess_geometry(400, 200, p).box.y0, -20);
  EXPECT_DOUBLE_EQ(preprocess_geometry(400, 200, p).box.y1, 220);
}

TEST(Preprocess, CropOffsetsRoundAsEachLibrary) {
  Preprocess p;
  p.resize = ResizeMode::none;
  p.crop_to = {1, 1};
  const auto left = [&](int width, CropRule rule) {
    p.crop = rule;
    return preprocess_geometry(width, 1, p).box.x0;
  };
  // (2-1)/2 = 0.5, (4-1)/2 = 1.5, (6-1)/2 = 2.5
  EXPECT_EQ(left(2, CropRule::torchvision), 0);
  EXPECT_EQ(left(4, CropRule::torchvision), 2);
  EXPECT_EQ(left(6, CropRule::torchvision), 2);
  EXPECT_EQ(left(2, CropRule::huggingface), 0);
  EXPECT_EQ(left(4, CropRule::huggingface), 1);
  EXPECT_EQ(left(6, CropRule::huggingface), 2);
}

TEST(Preprocess, ShowsWhatTheModelSaw) {
  Preprocess p;
  p.resize = ResizeMode::none;
  p.crop = CropRule::huggingface;
  p.crop_to = {4, 6};
  p.fill = {9, 8, 7};
  const Image image = drawn(3, 6, 3);
  const Image seen = apply_geometry(image, p);
  EXPECT_EQ(seen.width, 6);
  EXPECT_EQ(seen.height, 4);
  EXPECT_EQ(seen.row(0)[0], 9);  // padding: two columns before, one after
  EXPECT_EQ(seen.row(0)[5], 7);
  EXPECT_EQ(seen.row(0)[6], image.row(1)[0]);
  EXPECT_EQ(seen.row(3)[17], 7);
  std::vector<float> out(3 * 4 * 6);
  p.do_normalize = false;
  apply(image, p, out.data());
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < 4; ++y)
      for (int x = 0; x < 6; ++x)
        EXPECT_FLOAT_EQ(out[static_cast<size_t>((c * 4 + y) * 6 + x)],
                        static_cast<float>(seen.row(y)[x * 3 + c]) / 255.0f);
}

TEST(Preprocess, TakesGreyForRgbAndBack) {
  Preprocess p;
  p.resize_to = {5, 5};
  const Image grey = drawn(8, 8, 1);
  EXPECT_EQ(apply_geometry(grey, p).pixels, apply_geometry(to_rgb(grey), p).pixels);
  p.channels = 1;
  const Image color = drawn(8, 8, 3);
  EXPECT_EQ(apply_geometry(color, p).pixels, apply_geometry(to_grey(color), p).pixels);
}

TEST(Preprocess, LongestEdge) {
  Preprocess p;
  p.resize = ResizeMode::longest_edge;
  p.resize_to = {1024, 1024};
  const PreprocessResult result = preprocess_geometry(640, 427, p);
  EXPECT_EQ(result.width, 1024);
  EXPECT_EQ(result.height, 683);  // 683.2
  EXPECT_EQ(fixed_output_size(p), (PictureSize{0, 0}));
}

TEST(Preprocess, RefusesGeometryBeyondTheLimit) {
  Preprocess p;
  p.resize = ResizeMode::shortest_edge;
  p.resize_to = {16384, 16384};
  expect_clear(error_of([&] { preprocess_geometry(1, 1000000, p); }), "preprocess",
               "would be resized");
  p.resize = ResizeMode::fit;
  p.resize_to = {4, 4};
  expect_clear(error_of([&] { preprocess_geometry(1, 1000000, p); }), "preprocess",
               "would be resized");
}

}  // namespace
}  // namespace vitrail
