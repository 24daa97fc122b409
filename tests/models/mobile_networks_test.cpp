// TinyViT, MobileViT and EfficientFormer: sizes, grids, and what contradicts itself.
#include <gtest/gtest.h>

#include "models/backbones/efficientformer_config.h"
#include "models/backbones/mobilevit_config.h"
#include "models/backbones/tiny_vit_config.h"
#include "models/families/registry.h"
#include "models/network.h"
#include "support/errors.h"

namespace vitrail {
namespace {

std::shared_ptr<Network> published_network(std::string_view name) {
  return family_of_model(name)->published_model(name).config.make();
}

// As timm counts them.
TEST(MobileNetworks, HaveAsManyParametersAsTimms) {
  const std::pair<const char*, int64_t> counts[] = {
      {"tiny_vit_5m_224", 5392764},     {"tiny_vit_21m_384", 21230488},
      {"mobilevit_xxs", 1272024},       {"mobilevit_s", 5578632},
      {"mobilevitv2_050", 1370593},     {"mobilevitv2_175", 14251833},
      {"efficientformer_l1", 12289928}, {"efficientformer_l7", 82229328}};
  for (const auto& [name, count] : counts)
    EXPECT_EQ(published_network(name)->parameters().num_elements(), count) << name;
}

TEST(MobileNetworks, GridsFollowThePicture) {
  const auto sides = [](std::string_view name, int64_t height, int64_t width) {
    std::vector<int64_t> out;
    for (const TokenLayout& layout : published_network(name)->backbone().layouts(height, width)) {
      out.push_back(layout.grid_height);
      out.push_back(layout.grid_width);
    }
    return out;
  };
  EXPECT_EQ(sides("tiny_vit_5m_224", 224, 90), (std::vector<int64_t>{56, 23, 28, 12, 14, 6, 7, 3}));
  EXPECT_EQ(sides("mobilevit_s", 100, 256),
            (std::vector<int64_t>{50, 128, 25, 64, 13, 32, 7, 16, 4, 8}));
  // Version 2 of timm keeps the size to which a map was resized: 13 becomes 14, which halves to 7.
  EXPECT_EQ(sides("mobilevitv2_050", 100, 256),
            (std::vector<int64_t>{50, 128, 25, 64, 14, 32, 8, 16, 4, 8}));
  EXPECT_ERROR(sides("efficientformer_l1", 256, 256), "pictures of 224x224");
}

TEST(MobileNetworks, RefuseWhatContradictsItself) {
  const TinyVitConfig usual_tiny;
  TinyVitConfig tiny;
  tiny.num_heads = {3, 5, 12, 24};
  EXPECT_ERROR(tiny.validate(), "num_heads 5 of stage 1 does not divide its embed_dims, 192");
  tiny = usual_tiny;
  tiny.window_sizes = {7, 7, 14};
  EXPECT_ERROR(tiny.validate(), "window_sizes names 3 stages");
  tiny = usual_tiny;
  tiny.local_conv_size = 4;
  EXPECT_ERROR(tiny.validate(), "local_conv_size is 4");

  const MobileVitConfig usual_mobile;
  MobileVitConfig mobile;
  mobile.separable = true;
  EXPECT_ERROR(mobile.validate(), "patch_fit resized_back goes with separable false");
  mobile.patch_fit = PatchFit::cut;
  mobile.image_height = 32;
  EXPECT_ERROR(mobile.validate(), "less than a patch of 2");
  mobile = usual_mobile;
  mobile.num_heads = 5;
  EXPECT_ERROR(mobile.validate(), "num_heads 5 does not divide 144");
  mobile = usual_mobile;
  mobile.mlp_hidden_dims = {288};
  EXPECT_ERROR(mobile.validate(), "mlp_hidden_dims names 1 stages");

  const EfficientFormerConfig usual_efficient;
  EfficientFormerConfig efficient;
  efficient.num_vit = 5;
  EXPECT_ERROR(efficient.validate(), "num_vit is 5");
  efficient = usual_efficient;
  efficient.attention_grid = 8;
  EXPECT_ERROR(efficient.validate(), "its biases are for 8x8");
}

}  // namespace
}  // namespace vitrail
