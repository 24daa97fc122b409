#include "models/vit_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/vit.h"
#include "support/random.h"

namespace vitrail {
namespace {

using nlohmann::json;

VitConfig tiny() {
  VitConfig config;
  config.image_height = config.image_width = 16;
  config.patches.patch_height = config.patches.patch_width = 4;
  config.embed_dim = 24;
  config.depth = 2;
  config.block.attention.num_heads = 2;
  config.num_classes = 5;
  return config;
}

std::string message_of(const json& in) {
  try {
    vit_config_from_json(in);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(VitConfig, SurvivesJson) {
  VitConfig config = tiny();
  config.block.mlp.kind = MlpKind::gated_split;
  config.head.pooling = Pooling::map;
  config.block.mlp.activation = Activation::quick_gelu;
  config.drop_path = 0.125;
  EXPECT_EQ(vit_config_from_json(to_json(config)), config);
  EXPECT_EQ(vit_config_from_json(json::object()), VitConfig{});
}

TEST(VitConfig, NamesTheFieldThatIsWrong) {
  EXPECT_NE(message_of({{"embed_dmi", 3}}).find("embed_dmi"), std::string::npos);
  EXPECT_NE(message_of({{"depth", "12"}}).find("depth"), std::string::npos);
  EXPECT_NE(message_of({{"activation", "gelo"}}).find("gelu_tanh"), std::string::npos);
  EXPECT_NE(message_of({{"embed_dim", 200}, {"num_heads", 48}}).find("does not divide"),
            std::string::npos);
  EXPECT_NE(message_of({{"dropout", 1.5}}).find("dropout"), std::string::npos);
  EXPECT_NE(message_of({{"depth", -1}}).find("depth"), std::string::npos);
  EXPECT_NE(message_of({{"class_token", false}, {"position_prefix", 0}}).find("class token"),
            std::string::npos);
}

TEST(VitConfig, SetsFieldsFromText) {
  VitConfig config;
  set_field(config, "num_heads", "4");
  set_field(config, "qkv_bias", "false");
  set_field(config, "activation", "relu");
  set_field(config, "layer_norm_epsilon", "1e-5");
  EXPECT_EQ(config.block.attention.num_heads, 4);
  EXPECT_FALSE(config.block.attention.qkv_bias);
  EXPECT_EQ(config.block.mlp.activation, Activation::relu);
  EXPECT_DOUBLE_EQ(config.layer_norm_epsilon, 1e-5);
  EXPECT_THROW(set_field(config, "num_heads", "four"), Error);
  EXPECT_THROW(set_field(config, "heads", "4"), Error);
}

Tensor logits(const VisionTransformer& model, const Tensor& images, int threads) {
  Queue queue(threads);
  return model.forward(Context(queue), images).logits.value();
}

TEST(VisionTransformer, AnswersTheSameOnAnyThreadsAndInAnyBatch) {
  VisionTransformer model(tiny());
  model.parameters().initialise(3);
  const Tensor images = testing::random_tensor({8, 3, 16, 16}, 1);
  const Tensor one = logits(model, images, 1), two = logits(model, images, 2);
  for (int64_t i = 0; i < one.numel(); ++i) ASSERT_EQ(one.f32()[i], two.f32()[i]);
  for (int64_t b = 0; b < 8; ++b) {
    const Tensor alone = logits(model, images.rows(b, b + 1), 2);
    for (int64_t c = 0; c < 5; ++c) ASSERT_EQ(alone.f32()[c], one.f32()[b * 5 + c]);
  }
}

TEST(VisionTransformer, PackingForInferenceChangesNoBitAndASecondPassAllocatesNothing) {
  VisionTransformer model(tiny());
  model.parameters().initialise(3);
  Queue queue(2);
  const Tensor images = testing::random_tensor({2, 3, 16, 32}, 1);
  const Tensor before = logits(model, images, 2);
  model.pack_for_inference(queue);
  const Tensor after = logits(model, images, 2);
  for (int64_t i = 0; i < before.numel(); ++i) ASSERT_EQ(before.f32()[i], after.f32()[i]);
  logits(model, images, 2);  // beside the answers that are still held
  const uint64_t allocations = memory_stats().system_allocations;
  logits(model, images, 2);
  EXPECT_EQ(memory_stats().system_allocations, allocations);
}

TEST(VisionTransformer, RefusesPicturesThatDoNotFit) {
  VisionTransformer model(tiny());
  model.parameters().initialise(3);
  EXPECT_THROW(logits(model, Tensor::zeros({1, 1, 16, 16}), 1), Error);
  EXPECT_THROW(logits(model, Tensor::zeros({1, 3, 16, 18}), 1), Error);
}

// Registers, LayerScale, query and key norms included: nothing is left out of the tape.
TEST(VisionTransformer, EveryParameterReceivesAGradient) {
  VitConfig config = tiny();
  config.tokens.register_tokens = 2;
  config.block.layer_scale = config.block.attention.qk_norm = config.pre_norm = true;
  config.block.layer_scale_init = 0.5;
  VisionTransformer model(config);
  model.parameters().initialise(3);
  Queue queue(2);
  Tape tape;
  Context context(queue);
  context.tape = &tape;
  const NetworkOutput output = model.forward(context, testing::random_tensor({2, 3, 16, 16}, 1));
  tape.backward(queue, output.logits, testing::random_tensor({2, 5}, 2));
  for (const auto& parameter : model.parameters().all()) {
    ASSERT_TRUE(parameter->gradient().defined()) << parameter->path();
    double magnitude = 0;
    for (const float g : parameter->gradient().values()) magnitude += std::abs(g);
    EXPECT_GT(magnitude, 0) << parameter->path();
  }
}

}  // namespace
}  // namespace vitrail
