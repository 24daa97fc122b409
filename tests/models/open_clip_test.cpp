// OpenCLIP's files, and OpenAI's: the tower of pictures is read, and everything else is named. What
// the tower answers is in the goldens.
#include <gtest/gtest.h>

#include <algorithm>

#include "models/families/published.h"
#include "models/families/registry.h"
#include "models/family_fixtures.h"
#include "models/golden_model.h"
#include "models/vit.h"

namespace vitrail {
namespace {

using testing::open_golden;
using testing::read;

bool notes(const Checkpoint& checkpoint, const std::string& part) {
  return std::ranges::any_of(checkpoint.info.notes, [&](const std::string& note) {
    return note.find(part) != std::string::npos;
  });
}

NamedTensors tensors_of(const TensorSource& source) {
  NamedTensors tensors;
  for (const std::string& name : source.names())
    tensors.emplace_back(name, source.tensor(name).clone());
  return tensors;
}

NamedTensors golden_file() {
  return tensors_of(*open_tensors(open_golden("open_clip/vit").folder));
}

Json golden_config() {
  return read_json(open_golden("open_clip/vit").folder / "open_clip_config.json");
}

TEST(OpenClip, TheTowerOfTextsIsLeftOutByName) {
  const Checkpoint tower = read(golden_file(), golden_config());
  EXPECT_EQ(tower.info.family, timm_family());
  EXPECT_EQ(tower.info.config.class_answer().meaning, Answer::raw);
  EXPECT_EQ(tower.info.config.class_answer().classes, 6);
  EXPECT_EQ(as_vit(tower.info.config).block.attention.num_heads, 2);
  EXPECT_EQ(tower.info.preprocess.at("mean")[0], 0.48);
  EXPECT_TRUE(notes(tower, "the tower of texts is left out: 'ln_final.bias' and"));
}

// Without a configuration names and shapes leave open what they do of timm's, and the projection is
// still no classifier.
TEST(OpenClip, AFileAloneIsAsked) {
  const std::string message = testing::error_of([] { read(golden_file(), nullptr); });
  for (const char* field : {"activation", "num_heads", "pooling", "mean"})
    EXPECT_NE(message.find(field), std::string::npos) << message;
  const Checkpoint said = read(golden_file(), nullptr,
                               {{"activation", "gelu"},
                                {"heads", "2"},
                                {"eps", "1e-5"},
                                {"pooling", "class_token"},
                                {"position", "learned"},
                                {"norm_placement", "pre"},
                                {"mean", "0.5"},
                                {"std", "0.5"},
                                {"interpolation", "bicubic"},
                                {"crop_pct", "1"}});
  EXPECT_EQ(said.info.config.class_answer().meaning, Answer::raw);
}

TEST(OpenClip, OpenAisOwnFilesSayEverything) {
  NamedTensors tensors = golden_file();
  for (const char* number : {"input_resolution", "context_length", "vocab_size"})
    tensors.emplace_back(number, Tensor::zeros(Shape()).to(DType::i64));
  // Heads are 64 wide, which those of the golden are not.
  EXPECT_ERROR(read(tensors, nullptr), "num_heads");
}

TEST(OpenClip, OtherTowersAreRefusedByName) {
  const auto with = [](const char* name) {
    NamedTensors tensors = golden_file();
    tensors.emplace_back(name, Tensor::zeros({6}));
    return tensors;
  };
  EXPECT_ERROR(read(with("visual.attn_pool.query"), golden_config()), "attentional pooling");
  EXPECT_ERROR(read(with("text_decoder.ln_final.weight"), golden_config()), "CoCa");
  EXPECT_ERROR(read({{"visual.layer1.0.conv1.weight", Tensor::zeros({1})},
                     {"visual.attnpool.positional_embedding", Tensor::zeros({1})}},
                    nullptr),
               "CLIP's ResNet");
  EXPECT_ERROR(read(with("visual.surprise"), golden_config()), "'visual.surprise'");
  EXPECT_ERROR(read(with("surprise"), golden_config()), "'surprise'");
}

TEST(OpenClip, AFieldThatIsNotKnownIsRefused) {
  const auto with = [](const char* part, const char* key, const Json& value) {
    Json config = golden_config();
    config["model_cfg"][part][key] = value;
    return config;
  };
  EXPECT_ERROR(read(golden_file(), with("vision_cfg", "qk_norm", true)), "qk_norm is true");
  EXPECT_ERROR(read(golden_file(), with("vision_cfg", "surprise", 1)), "'surprise'");
  EXPECT_ERROR(read(golden_file(), with("vision_cfg", "pool_type", "none")), "pool_type 'none'");
  EXPECT_ERROR(read(golden_file(), with("vision_cfg", "layers", 3)), "depth 3");
  EXPECT_ERROR(read(golden_file(), {{"model_type", "clip"}}), "has no model_cfg");
}

// A trunk of timm's is a definition of timm's.
TEST(OpenClip, ATrunkIsReadAsTimms) {
  VitConfig config = published_config(*find_published("vit_tiny_patch16_224"));
  config.num_classes = 0;
  NamedTensors tensors;
  const VisionTransformer model(config);
  for (const auto& parameter : model.parameters().all())
    tensors.emplace_back("visual.trunk." + parameter->path(), Tensor::zeros(parameter->shape()));
  tensors.emplace_back("visual.head.proj.weight", Tensor::zeros({4, 192}));
  tensors.emplace_back("logit_scale", Tensor::zeros(Shape()));
  Json trunk = {{"model_cfg",
                 {{"embed_dim", 4},
                  {"vision_cfg",
                   {{"timm_model_name", "vit_tiny_patch16_224"},
                    {"timm_pool", "token"},
                    {"timm_proj", "linear"},
                    {"image_size", 224}}},
                  {"text_cfg", Json::object()}}}};
  const Checkpoint tower = read(tensors, trunk);
  EXPECT_EQ(as_vit(tower.info.config).block.attention.num_heads, 3);
  EXPECT_EQ(tower.info.config.class_answer().classes, 4);
  EXPECT_EQ(tower.info.config.class_answer().meaning, Answer::raw);
  trunk["model_cfg"]["vision_cfg"]["timm_model_name"] = "convnext_base";
  EXPECT_ERROR(read(tensors, trunk), "'convnext_base'");
}

// ---- A head behind batch normalisation ----

TEST(NormedHead, IsFoldedIntoAPlainOne) {
  NamedTensors tensors = testing::random_weights(testing::tiny_config());
  const auto take = [&](const std::string& name) {
    const auto found = std::ranges::find(tensors, name, &NamedTensors::value_type::first);
    Tensor taken = found->second;
    tensors.erase(found);
    return taken;
  };
  const Tensor weight = take("head.weight"), bias = take("head.bias");
  Tensor mean = Tensor::full({24}, 0.25f), variance = Tensor::full({24}, 4);
  mean.f32()[1] = -2;
  tensors.emplace_back("head.0.running_mean", mean);
  tensors.emplace_back("head.0.running_var", variance);
  tensors.emplace_back("head.0.num_batches_tracked", Tensor::zeros(Shape()).to(DType::i64));
  tensors.emplace_back("head.1.weight", weight);
  tensors.emplace_back("head.1.bias", bias);
  const Checkpoint folded = read(tensors, testing::timm_json());
  const Tensor plain = folded.tensors->tensor("head.weight");
  const Tensor moved = folded.tensors->tensor("head.bias");
  for (int64_t row = 0; row < weight.size(0); ++row) {
    double sum = bias.f32()[row];
    for (int64_t i = 0; i < 24; ++i) {
      const double factor = 1 / std::sqrt(4 + 1e-6);
      EXPECT_NEAR(plain.f32()[row * 24 + i], weight.f32()[row * 24 + i] * factor, 1e-6);
      sum -= weight.f32()[row * 24 + i] * factor * mean.f32()[i];
    }
    EXPECT_NEAR(moved.f32()[row], sum, 1e-5);
  }
  EXPECT_TRUE(notes(folded, "folded into it, with MAE's epsilon"));
}

}  // namespace
}  // namespace vitrail
