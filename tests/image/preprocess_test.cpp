#include "image/preprocess/preprocess.h"

#include "image/golden.h"
#include "image/scalar.h"
#include "support/isa.h"

namespace vitrail {
namespace {

using nlohmann::json;

Preprocess read_config(const json& entry) {
  return entry.at("kind") == "timm" ? from_timm(entry.at("config")) : from_hf(entry.at("config"));
}

void expect_equal_to_the_libraries() {
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

TEST(Preprocess, EqualsTimmAndTransformersBitForBit) {
  testing::for_each_isa([](Queue&) { expect_equal_to_the_libraries(); });
}

// Every byte, every family's numbers, rows whose ends no vector fills.
TEST(Preprocess, FloatsEqualTheScalarStepsOnEveryInstructionSet) {
  Preprocess p;
  p.resize = ResizeMode::none;
  const std::vector<std::array<double, 3>> means{
      {0.5, 0.5, 0.5}, {0.485, 0.456, 0.406}, {0.48145466, 0.4578275, 0.40821073}, {0, 0.1, 0.9}};
  const std::vector<std::array<double, 3>> deviations{
      {0.5, 0.5, 0.5}, {0.229, 0.224, 0.225}, {0.26862954, 0.26130258, 0.27577711}, {1, 3e-7, 7e5}};
  testing::for_each_isa([&](Queue&) {
    for (size_t family = 0; family < means.size(); ++family)
      for (const Arithmetic arithmetic : {Arithmetic::torchvision, Arithmetic::huggingface})
        for (const int channels : {1, 3})
          for (const int source_channels : {1, channels})
            for (const int width : {1, 15, 16, 47, 64}) {
              p.mean = means[family];
              p.std = deviations[family];
              p.arithmetic = arithmetic;
              p.channels = channels;
              Image image(width, 256, source_channels);
              for (size_t i = 0; i < image.pixels.size(); ++i)
                image.pixels[i] = static_cast<uint8_t>(i * 7 + i / 256);
              std::vector<float> out(static_cast<size_t>(width) * 256 * channels);
              apply(image, p, out.data());
              size_t at = 0;
              for (int c = 0; c < channels; ++c)
                for (int i = 0; i < width * 256; ++i)
                  ASSERT_EQ(out[at++],
                            testing::scalar_float(
                                image.pixels[static_cast<size_t>(i * source_channels +
                                                                 (source_channels == 3 ? c : 0))],
                                p, static_cast<size_t>(c)));
            }
  });
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
  expect_clear(error_if_any([&] { preprocess_geometry(1, 1000000, p); }), "preprocess",
               "would be resized");
  p.resize = ResizeMode::fit;
  p.resize_to = {4, 4};
  expect_clear(error_if_any([&] { preprocess_geometry(1, 1000000, p); }), "preprocess",
               "would be resized");
}

}  // namespace
}  // namespace vitrail
