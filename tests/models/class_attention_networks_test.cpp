// CaiT and XCiT: the sizes of the published models, configurations that contradict themselves, and
// pictures of other sizes.
#include <gtest/gtest.h>

#include "models/architectures.h"
#include "models/backbones/cait.h"
#include "models/backbones/xcit.h"
#include "models/network.h"
#include "support/errors.h"
#include "support/random.h"

namespace vitrail {
namespace {

using testing::random_tensor;

CaitConfig small_cait() {
  CaitConfig c;
  c.image_height = c.image_width = 32;
  c.embed_dim = 16;
  c.depth = 2;
  c.mlp_hidden_dim = c.class_mlp_hidden_dim = 24;
  c.num_classes = 5;
  return c;
}
XcitConfig small_xcit() {
  XcitConfig c;
  c.image_height = c.image_width = 32;
  c.embed_dim = 16;
  c.depth = 2;
  c.mlp_hidden_dim = 24;
  c.num_classes = 5;
  return c;
}

// timm's counts of parameters.
TEST(ClassAttentionNetworks, HaveTheParametersOfThePublished) {
  const auto count = [](const char* name) {
    return architecture(name).config.make()->parameters().num_elements();
  };
  EXPECT_EQ(count("cait_xxs24_224"), 11'956'264);
  EXPECT_EQ(count("cait_m48_448"), 356'460'520);
  EXPECT_EQ(count("xcit_nano_12_p16_224"), 3'053'224);
  EXPECT_EQ(count("xcit_tiny_24_p8_224"), 12'107'128);
  EXPECT_EQ(count("xcit_large_24_p8_384"), 188'932'648);
}

template <typename Config, typename Change>
void expect_refused(Config config, Change change, const char* part) {
  change(config);
  EXPECT_ERROR(config.validate(), part);
}

TEST(ClassAttentionNetworks, RefuseContradictions) {
  const auto cait = [](auto change, const char* part) {
    expect_refused(small_cait(), change, part);
  };
  cait([](auto& c) { c.num_heads = 3; }, "num_heads 3 does not divide embed_dim 16");
  cait([](auto& c) { c.image_width = 40; }, "32x40 is not a whole number of patches of 16 pixels");
  cait([](auto& c) { c.class_depth = 0; }, "class_depth is 0");
  cait([](auto& c) { c.position_grid_width = 4; }, "both are 0, or neither");
  cait([](auto& c) { c.patch_norm = true; }, "patch_norm goes with patch_embedding linear");
  cait([](auto& c) { c.pooling = Pooling::map; }, "class_token or mean, not map");
  cait(
      [](auto& c) {
        c.head_mixing = HeadMixingKind::none;
        c.class_head_mixing = true;
      },
      "class_head_mixing needs a head_mixing");
  const auto xcit = [](auto change, const char* part) {
    expect_refused(small_xcit(), change, part);
  };
  xcit([](auto& c) { c.patch_size = 4; }, "patch_size is 4; convolutions make patches of 8 or 16");
  xcit([](auto& c) { c.num_heads = 3; }, "num_heads 3 does not divide embed_dim 16");
  xcit([](auto& c) { c.embed_dim = c.num_heads = 4; }, "needs 8");
  xcit([](auto& c) { c.image_height = 8; }, "makes 0 patches");
}

TEST(ClassAttentionNetworks, GoThroughJsonAndText) {
  NetworkConfig cait = small_cait();
  cait.set("head_mixing", "matrices");
  cait.set("class_norms_patches", "false");
  EXPECT_EQ(network_config_from_json(to_json(cait)), cait);
  EXPECT_ERROR(cait.set("heads_mixed", "true"), "there is no field 'heads_mixed'");
  NetworkConfig xcit = small_xcit();
  xcit.set("tokens_norm", "true");
  EXPECT_EQ(network_config_from_json(to_json(xcit)), xcit);
}

// CaiT stretches what it has learned of places; XCiT computes it of any grid.
TEST(ClassAttentionNetworks, TakePicturesOfOtherSizes) {
  Queue queue(1);
  for (const NetworkConfig& config : {NetworkConfig(small_cait()), NetworkConfig(small_xcit())}) {
    NetworkConfig sized = config;
    sized.set_image_size(48, 32);
    const auto network = sized.make();
    network->parameters().initialise(1);
    const Context context(queue);
    const NetworkOutput output = network->forward(context, random_tensor({2, 3, 48, 32}, 1));
    EXPECT_EQ(output.logits.shape(), Shape({2, 5}));
    EXPECT_EQ(output.tokens().shape(), Shape({2, 7, 16}));
    EXPECT_EQ(output.layout(), network->layout(48, 32));
    EXPECT_EQ(sized.make()->parameters().num_elements(),
              config.make()->parameters().num_elements());
    EXPECT_GT(network->cost(48, 32).multiply_adds, 0);
    EXPECT_ERROR(network->forward(context, random_tensor({2, 1, 48, 32}, 1)), "takes [B, 3, H, W]");
  }
  EXPECT_ERROR(NetworkConfig(small_cait()).set_image_size(40, 32), "whole number of patches");
}

TEST(ClassAttentionNetworks, AnswerAloneAsInABatch) {
  Queue queue(2);
  const Context context(queue);
  for (const NetworkConfig& config : {NetworkConfig(small_cait()), NetworkConfig(small_xcit())}) {
    const auto network = config.make();
    network->parameters().initialise(1);
    const Tensor images = random_tensor({3, 3, 32, 32}, 2);
    const Tensor together = network->forward(context, images).logits.value();
    const Tensor alone = network->forward(context, images.rows(1, 2)).logits.value();
    for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(alone.f32()[i], together.f32()[5 + i]) << i;
  }
}

}  // namespace
}  // namespace vitrail
