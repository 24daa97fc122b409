// Channels in the order blue, green, red, as transformers' MobileViT has them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "core/error.h"
#include "image/preprocess/normalize.h"
#include "image/preprocess/preprocess.h"

namespace vitrail {
namespace {

Preprocess two_by_two() {
  Preprocess p;
  p.resize = ResizeMode::none;
  p.do_normalize = false;
  return p;
}

Image coloured() {
  Image image(2, 2, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(20 * i);
  return image;
}

TEST(PreprocessBgr, TurnsThePlanesRound) {
  Preprocess p = two_by_two();
  std::vector<float> rgb(12), bgr(12);
  apply(coloured(), p, rgb.data());
  p.bgr = true;
  apply(coloured(), p, bgr.data());
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(bgr[i], rgb[8 + i]);
    EXPECT_EQ(bgr[4 + i], rgb[4 + i]);
    EXPECT_EQ(bgr[8 + i], rgb[i]);
  }
  EXPECT_EQ(denormalized(bgr.data(), {2, 2}, p).pixels, coloured().pixels);
}

TEST(PreprocessBgr, PaddingAndRowsFollow) {
  Preprocess p = two_by_two();
  p.crop = CropRule::huggingface;
  p.crop_to = {4, 4};
  p.fill = {10, 20, 30};
  std::vector<float> rgb(48), bgr(48);
  apply(coloured(), p, rgb.data());
  p.bgr = true;
  apply(coloured(), p, bgr.data());
  for (size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(bgr[i], rgb[32 + i]);
    EXPECT_EQ(bgr[32 + i], rgb[i]);
  }
}

TEST(PreprocessBgr, IsTheRuleOfTransformersMobileViT) {
  const nlohmann::json said = {{"image_processor_type", "MobileViTImageProcessor"},
                               {"do_normalize", true}};
  const Preprocess p = from_hf(said);
  EXPECT_TRUE(p.bgr);
  EXPECT_FALSE(p.do_normalize) << "the library's processor does not look at the field";
  EXPECT_EQ(p.resize, ResizeMode::shortest_edge);
  EXPECT_EQ(p.crop_to, (PictureSize{256, 256}));
  const TranslatedPreprocess back = to_hf(p);
  EXPECT_EQ(back.config.at("image_processor_type"), "MobileViTImageProcessor");
  EXPECT_EQ(from_hf(back.config), p);
  EXPECT_EQ(from_json(to_json(p)), p);
  EXPECT_THROW(to_timm(p), Error);
  EXPECT_FALSE(from_hf({{"image_processor_type", "MobileViTImageProcessor"},
                        {"do_flip_channel_order", false}})
                   .bgr);
}

TEST(PreprocessBgr, ABlockSaysItOnlyWhereItIsSo) {
  Preprocess p;
  EXPECT_FALSE(to_json(p).contains("channel_order"));
  nlohmann::json block = to_json(p);
  block["channel_order"] = "grb";
  EXPECT_THROW(from_json(block), Error);
  p.bgr = true;
  p.channels = 1;
  EXPECT_THROW(check_preprocess(p), Error);
}

}  // namespace
}  // namespace vitrail
