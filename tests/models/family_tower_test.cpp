// Vision towers of transformers' models of pictures and texts: what stands beside them is left out
// by name, what their configurations say must be true of the tensors, and what one of them says
// with a stacked tensor is a part of it.
#include <gtest/gtest.h>

#include "models/family_fixtures.h"
#include "support/temporary_folder.h"

namespace vitrail {
namespace {

using testing::answer_error;
using testing::answer_of;
using testing::without_preprocess;

std::filesystem::path tower(const char* name) {
  return std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/models/hf_tower" / name;
}

// The golden's files with another value in config.json.
Checkpoint tower_with(const char* name, const std::string& pointer, const Json& value) {
  Json config = read_json(tower(name) / "config.json");
  config[Json::json_pointer(pointer)] = value;
  return read_checkpoint(SafetensorsFile::open(tower(name) / "model.safetensors"),
                         {.config = config, .preprocessor = nullptr, .labels_file = {}},
                         without_preprocess());
}

TEST(HfTower, TheTowerOfTextsIsLeftOutAndSaidOnce) {
  const Checkpoint clip = open_checkpoint(tower("clip"), without_preprocess());
  EXPECT_EQ(clip.info.family, hf_clip_family());
  EXPECT_EQ(clip.spelling.prefix, "vision_model.");
  int texts = 0;
  for (const std::string& name : clip.info.left_out) texts += name.starts_with("text_model.");
  EXPECT_GT(texts, 8);
  int lines = 0;
  for (const std::string& line : clip.info.warnings)
    lines += line.find("text_model") != std::string::npos;
  EXPECT_EQ(lines, 1);
}

TEST(HfTower, AProjectionIsAHeadWhoseAnswerIsRaw) {
  for (const char* name : {"clip", "clip_projection"}) {
    const Checkpoint checkpoint = open_checkpoint(tower(name), without_preprocess());
    const auto& c = as_vit(checkpoint.info.config);
    EXPECT_EQ(c.num_classes, 6);
    EXPECT_EQ(c.answer, Answer::raw);
    EXPECT_FALSE(c.head.bias);
    EXPECT_FALSE(c.final_norm);
    EXPECT_TRUE(c.head.norm);
  }
  const Checkpoint classifier = open_checkpoint(tower("clip_classifier"), without_preprocess());
  EXPECT_EQ(as_vit(classifier.info.config).head.pooling, Pooling::mean);
  EXPECT_EQ(as_vit(classifier.info.config).answer, Answer::softmax);
  EXPECT_FALSE(as_vit(classifier.info.config).head.norm);
}

TEST(HfTower, WhatTheConfigurationSaysMustBeTrueOfTheTensors) {
  struct Bad {
    const char* name;
    const char* pointer;
    Json value;
    const char* part;
  };
  for (const Bad& bad : std::initializer_list<Bad>{
           {"clip", "/projection_dim", 7, "projection_dim"},
           {"clip", "/vision_config/hidden_size", 13, "vision_config: hidden_size is 13"},
           {"clip", "/vision_config/rope", 1, "'rope'"},
           {"clip", "/vision_config/hidden_act", "mish", "mish"},
           {"clip", "/vision_config", 3, "vision_config"},
           {"clip", "/mystery", 1, "'mystery'"},
           {"clip_classifier", "/num_labels", 4, "num_labels"},
           {"siglip_vision", "/vision_use_head", false, "vision_use_head"},
           {"siglip2_vision", "/num_patches", 25, "num_patches"},
           {"siglip2_vision", "/patch_size", 2, "patches of 2x2"},
           {"internvl", "/use_mean_pooling", false, "use_mean_pooling"},
           {"internvl", "/norm_type", "rms_norm", "norm_type"},
           {"aimv2", "/is_native", true, "is_native"},
           {"aimv2", "/mlp_bias", true, "mlp_bias"},
           {"tips", "/num_register_tokens", 4, "num_register_tokens"}})
    EXPECT_ERROR(tower_with(bad.name, bad.pointer, bad.value), bad.part);
}

TEST(HfTower, StackedTensorsThatAreNotThreePartsAreRefused) {
  const auto file = SafetensorsFile::open(tower("siglip_vision") / "model.safetensors");
  NamedTensors tensors;
  for (const std::string& name : file->names())
    tensors.emplace_back(
        name, name.ends_with("in_proj_weight") ? Tensor::zeros({35, 12}) : file->tensor(name));
  EXPECT_ERROR(read_checkpoint(std::make_shared<MemoryTensors>(tensors),
                               {.config = read_json(tower("siglip_vision") / "config.json"),
                                .preprocessor = nullptr,
                                .labels_file = {}},
                               without_preprocess()),
               "in_proj_weight' is [35, 12]");
}

TEST(HfTower, TwoNormsAroundPoolingAreBlipsWhereTheyAreOne) {
  const Checkpoint blip = open_checkpoint(tower("blip"), without_preprocess());
  const testing::TemporaryFolder folder("blip");
  write_converted(folder / "own", blip, {.target = own_family()});
  write_converted(folder / "back", open_checkpoint(folder / "own", without_preprocess()),
                  {.target = hf_blip_family()});
  const Checkpoint back = open_checkpoint(folder / "back", without_preprocess());
  EXPECT_EQ(answer_error(answer_of(back), answer_of(blip)), 0);
  VitConfig two = as_vit(blip.info.config);
  EXPECT_ERROR(adapt(two, MemoryTensors(testing::random_weights(two)), hf_blip_family()),
               "two different norms");
}

}  // namespace
}  // namespace vitrail
