// Residual networks and hybrids as configurations; their numbers are tests/golden's.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/architectures.h"
#include "models/mae.h"
#include "models/vit.h"
#include "support/compare.h"
#include "support/random.h"

namespace vitrail {
namespace {

using testing::random_tensor;

VitConfig small_resnet() {
  VitConfig config = as_vit(architecture_config("resnet20"));
  config.resnet.channels = {8, 16, 16};
  config.resnet.blocks = {1, 1, 1};
  config.embed_dim = 16;
  return config;
}

// torchvision's counts of parameters.
TEST(ResNet, HasTheParametersOfTheOriginals) {
  const auto count = [](const char* name) {
    return VisionTransformer(as_vit(architecture_config(name))).parameters().num_elements();
  };
  EXPECT_EQ(count("resnet18"), 11'689'512);
  EXPECT_EQ(count("resnet34"), 21'797'672);
  EXPECT_EQ(count("resnet50"), 25'557'032);
  // He et al., table 6, has 0.27 million, without the two projections.
  EXPECT_EQ(count("resnet20"), 269'722 + (16 * 32 + 32 * 64) + 2 * (32 + 64));
}

TEST(ResNet, TakesPicturesOfAnySize) {
  VisionTransformer model(small_resnet());
  model.parameters().initialise(1);
  Queue queue(2);
  const Context context(queue);
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{32, 32}, {33, 41}, {7, 2}}) {
    const NetworkOutput output = model.forward(context, random_tensor({2, 3, height, width}, 1));
    EXPECT_EQ(output.logits.shape(), (Shape{2, 10}));
    EXPECT_EQ(output.layout().grid_height, (height + 3) / 4);
    EXPECT_EQ(output.layout().grid_width, (width + 3) / 4);
    EXPECT_EQ(output.tokens().size(1), output.layout().tokens());
  }
  const NetworkOutput square = model.forward(context, random_tensor({2, 3, 32, 32}, 1));
  EXPECT_EQ(square.layout().patch_height, 4);
}

TEST(ResNet, PooledStagesHalveAndMayHaveNoBlocks) {
  VitConfig config = small_resnet();
  set_field(config, "resnet_pooled", "true");
  set_field(config, "resnet_blocks", "1,0,0");
  VisionTransformer model(config);
  model.parameters().initialise(1);
  EXPECT_NE(model.parameters().find("patch_embed.backbone.layer3.transition.conv1.weight"),
            nullptr);
  EXPECT_NE(model.parameters().find("patch_embed.backbone.layer1.transition.bn1.running_mean"),
            nullptr);
  EXPECT_NE(model.parameters().find("patch_embed.backbone.layer1.0.conv2.weight"), nullptr);
  EXPECT_EQ(model.parameters().find("patch_embed.backbone.layer1.0.downsample.0.weight"), nullptr);
  Queue queue(2);
  const NetworkOutput output = model.forward(Context(queue), random_tensor({2, 3, 33, 41}, 1));
  EXPECT_EQ(output.layout().grid_height, 5);
  EXPECT_EQ(output.layout().grid_width, 6);
  set_field(config, "resnet_pooled", "false");
  EXPECT_THROW(config.validate(), Error);
}

// Batch normalisation becomes part of the convolution before it, but not where pooling stands
// between; filters are standardised once.
TEST(ResNet, PackedForInferenceAnswersTheSame) {
  const auto with = [](std::initializer_list<std::pair<const char*, const char*>> settings) {
    VitConfig config = small_resnet();
    for (const auto& [field, value] : settings) set_field(config, field, value);
    return config;
  };
  for (const VitConfig& config : {with({{"resnet_norm", "batch"}}),
                                  with({{"resnet_norm", "batch"}, {"resnet_pooled", "true"}}),
                                  with({{"resnet_norm", "batch"},
                                        {"resnet_bottleneck", "true"},
                                        {"resnet_deep_stem", "true"},
                                        {"resnet_average_shortcut", "true"}}),
                                  with({{"resnet_norm", "group"},
                                        {"resnet_norm_groups", "2"},
                                        {"resnet_standardised", "true"},
                                        {"resnet_same_padding", "true"}})}) {
    VisionTransformer model(config);
    model.parameters().initialise(2);
    for (const auto& parameter : model.parameters().all()) {
      if (parameter->role().kind == ParameterRole::Kind::filter) continue;
      Tensor value = random_tensor(parameter->shape(), hash_path(parameter->path()));
      if (parameter->path().ends_with("running_var"))
        for (float& element : value.values()) element = 0.5f + element * element;
      parameter->set_value(std::move(value));
    }
    Queue queue(2);
    const Context context(queue);
    const Tensor images = random_tensor({2, 3, 32, 40}, 4);
    const Tensor before = model.forward(context, images).logits.value().clone();
    model.pack_for_inference(queue);
    const Tensor after = model.forward(context, images).logits.value();
    EXPECT_LT(testing::max_relative_error(after.values(), before.values()), 1e-5);
    const bool folds = config.resnet.norm == Normalisation::batch && config.resnet.deep_stem;
    EXPECT_EQ(model.parameters().folds().empty(), !folds);
    for (const auto& fold : model.parameters().folds()) EXPECT_TRUE(fold->folded);
  }
}

TEST(ResNet, AnswersAloneAsInABatch) {
  VisionTransformer model(small_resnet());
  model.parameters().initialise(3);
  Queue queue(2);
  const Context context(queue);
  const Tensor images = random_tensor({9, 3, 32, 32}, 5);
  const Tensor together = model.forward(context, images).logits.value();
  for (const int64_t i : {0, 4, 8}) {
    const Tensor alone = model.forward(context, images.rows(i, i + 1)).logits.value();
    for (int64_t j = 0; j < 10; ++j) EXPECT_EQ(alone.f32()[j], together.f32()[i * 10 + j]);
  }
}

TEST(ResNet, NamesItsBlocksAndBeginsWithOpenBranches) {
  const VisionTransformer model(as_vit(architecture_config("resnet50")));
  const auto& parameters = model.parameters();
  EXPECT_NE(parameters.find("patch_embed.backbone.layer4.2.conv3.weight"), nullptr);
  EXPECT_NE(parameters.find("patch_embed.backbone.bn1.running_mean"), nullptr);
  EXPECT_NE(parameters.find("patch_embed.backbone.layer1.0.downsample.1.running_var"), nullptr);
  EXPECT_NE(parameters.find("patch_embed.backbone.layer1.0.downsample.0.weight"), nullptr);
  EXPECT_EQ(parameters.find("patch_embed.backbone.layer1.1.downsample.0.weight"), nullptr);
  VisionTransformer small(small_resnet());
  small.parameters().initialise(1);
  const auto all = [&](const char* path, float value) {
    for (const float element : small.parameters().at(path).value().values())
      EXPECT_EQ(element, value) << path;
  };
  all("patch_embed.backbone.layer2.0.bn1.weight", 1);
  all("patch_embed.backbone.layer2.0.bn2.weight", 1);
  all("patch_embed.backbone.layer2.0.bn2.running_mean", 0);
  all("patch_embed.backbone.layer2.0.bn2.running_var", 1);
  all("patch_embed.backbone.layer2.0.downsample.1.weight", 1);
}

TEST(ResNet, TheHybridCanResizeItsPositions) {
  VisionTransformer model(as_vit(architecture_config("resnet_vit_nano")));
  model.parameters().initialise(1);
  Queue queue(1);
  const Context context(queue);
  const NetworkOutput output = model.forward(context, random_tensor({1, 3, 40, 24}, 1));
  EXPECT_EQ(output.tokens().shape(), (Shape{1, 1 + 10 * 6, 128}));
}

TEST(ResNet, ConfigGoesThroughJsonAndText) {
  VitConfig config = as_vit(architecture_config("resnet34"));
  EXPECT_EQ(vit_config_from_json(to_json(config)), config);
  EXPECT_EQ(config.resnet.norm, Normalisation::batch);
  set_field(config, "resnet_norm", "group");
  EXPECT_EQ(config.resnet.norm, Normalisation::group);
  EXPECT_THROW(set_field(config, "resnet_norm", "layer"), Error);
  set_field(config, "resnet_blocks", "1,2,3,4");
  EXPECT_EQ(config.resnet.blocks, (std::vector<int64_t>{1, 2, 3, 4}));
  set_field(config, "resnet_stem_pool", "false");
  EXPECT_NO_THROW(config.validate());
  for (const char* text : {"", "1,", ",1", "1,x", "1 2", "1.5"})
    EXPECT_THROW(set_field(config, "resnet_blocks", text), Error) << text;
  nlohmann::json json = to_json(config);
  json["resnet_blocks"] = {1, 2, "3", 4};
  EXPECT_THROW(vit_config_from_json(json), Error);
  json["resnet_blocks"] = 3;
  EXPECT_THROW(vit_config_from_json(json), Error);
}

TEST(ResNet, RefusesWhatCannotBe) {
  const auto refused = [](auto change) {
    VitConfig config = small_resnet();
    config.resnet.norm = Normalisation::group;
    config.resnet.norm_groups = 4;
    change(config);
    EXPECT_THROW(config.validate(), Error);
  };
  refused([](auto& c) { c.embed_dim = 32; });
  refused([](auto& c) { c.resnet.blocks = {1, 1}; });
  refused([](auto& c) { c.resnet.blocks = c.resnet.channels = {}; });
  refused([](auto& c) { c.resnet.blocks[1] = 0; });
  refused([](auto& c) { c.resnet.blocks[1] = int64_t{1} << 40; });
  refused([](auto& c) { c.resnet.channels[1] = 18; });  // 4 groups
  refused([](auto& c) { c.resnet.channels[0] = -4; });
  refused([](auto& c) { c.resnet.stem_channels = 6; });
  refused([](auto& c) { c.resnet.stem_kernel = 4; });
  refused([](auto& c) { c.resnet.stem_stride = 0; });
  refused([](auto& c) { c.resnet.norm_groups = 0; });
  refused([](auto& c) { c.resnet.bottleneck = true; });  // a quarter of 8 has no 4 groups
  EXPECT_THROW(mae_encoder(small_resnet()), Error);
}

}  // namespace
}  // namespace vitrail
