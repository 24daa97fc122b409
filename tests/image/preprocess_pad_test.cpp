// A long side of one length, and zeros behind the picture, as transformers' SAM has them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "core/error.h"
#include "image/preprocess/preprocess.h"

namespace vitrail {
namespace {

const nlohmann::json kSamSaid = {
    {"image_processor_type", "SamImageProcessorFast"}, {"size", {{"longest_edge", 8}}},
    {"pad_size", {{"height", 8}, {"width", 8}}},       {"mask_size", {{"longest_edge", 4}}},
    {"mask_pad_size", {{"height", 4}, {"width", 4}}},  {"do_pad", true}};

Image shaded(int width, int height) {
  Image image(width, height, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<uint8_t>(1 + 7 * i % 255);
  return image;
}

// Every way through: by rows, as a whole (nearest), and where nothing is resized.
TEST(PreprocessPad, IsZeroAfterNormalisingAndBehindThePicture) {
  for (const Filter filter : {Filter::bilinear, Filter::nearest})
    for (const PictureSize size : {PictureSize{5, 8}, PictureSize{16, 9}, PictureSize{8, 8}}) {
      Preprocess p = from_hf(kSamSaid);
      p.filter = filter;
      const Image image = shaded(size.width, size.height);
      std::vector<float> out(3 * 64, -1);
      const PreprocessResult result = apply(image, p, out.data());
      EXPECT_EQ(result.height, 8);
      EXPECT_EQ(result.width, 8);
      Preprocess plain = p;
      plain.crop = CropRule::none;
      std::vector<float> bare(
          static_cast<size_t>(3 * result.resized_height * result.resized_width));
      apply(image, plain, bare.data());
      for (int c = 0; c < 3; ++c)
        for (int y = 0; y < 8; ++y)
          for (int x = 0; x < 8; ++x) {
            const bool covered = y < result.resized_height && x < result.resized_width;
            const float expected =
                covered ? bare[static_cast<size_t>(
                              (c * result.resized_height + y) * result.resized_width + x)]
                        : 0;
            EXPECT_EQ(out[static_cast<size_t>((c * 8 + y) * 8 + x)], expected)
                << size.height << "x" << size.width << " at " << y << ", " << x;
          }
    }
}

TEST(PreprocessPad, RoundsTheShortSideAsTheLibrary) {
  const Preprocess p = from_hf(kSamSaid);
  const PreprocessResult tall = preprocess_geometry(9, 16, p);
  EXPECT_EQ(tall.resized_height, 8);
  EXPECT_EQ(tall.resized_width, 5) << "4.5 is rounded up";
  EXPECT_EQ(tall.box.y1, 16);
  EXPECT_GT(tall.box.x1, 9) << "beyond the picture, where padding is";
}

TEST(PreprocessPad, IsTheRuleOfTransformersSam) {
  const Preprocess p = from_hf(kSamSaid);
  EXPECT_EQ(p.resize, ResizeMode::longest_edge);
  EXPECT_EQ(p.crop, CropRule::corner);
  EXPECT_EQ(fixed_output_size(p), (PictureSize{8, 8}));
  EXPECT_EQ(from_hf({{"image_processor_type", "SamImageProcessor"}}).crop_to,
            (PictureSize{1024, 1024}));
  const TranslatedPreprocess back = to_hf(p);
  EXPECT_EQ(back.config.at("image_processor_type"), "SamImageProcessor");
  EXPECT_EQ(from_hf(back.config), p);
  EXPECT_EQ(from_json(to_json(p)), p);
  EXPECT_THROW(to_timm(p), Error);
  const Preprocess wide = at_size(p, {8, 16});
  EXPECT_EQ(wide.resize_to.height, 8) << "a long side that fits into both";
  EXPECT_EQ(wide.crop_to, (PictureSize{8, 16}));
}

TEST(PreprocessPad, RefusesWhatDoesNotFit) {
  const auto with = [](const char* key, nlohmann::json value) {
    nlohmann::json said = kSamSaid;
    said[key] = std::move(value);
    return said;
  };
  EXPECT_THROW(from_hf(with("pad_size", {{"height", 7}, {"width", 8}})), Error);
  EXPECT_THROW(from_hf(with("size", {{"height", 8}, {"width", 8}})), Error);
  EXPECT_THROW(from_hf(with("do_center_crop", true)), Error);
  EXPECT_THROW(from_hf(with("do_resize", false)), Error);
  EXPECT_THROW(from_hf({{"image_processor_type", "ViTImageProcessor"}, {"do_pad", true}}), Error);
}

}  // namespace
}  // namespace vitrail
