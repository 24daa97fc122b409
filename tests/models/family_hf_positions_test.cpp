// transformers' models with positions in attention, BEiT and DINOv3: what makes a file theirs
// without a config.json, and what their configurations say must be true of the tensors.
#include <gtest/gtest.h>

#include "models/families/recognise.h"
#include "models/family_fixtures.h"

namespace vitrail {
namespace {

using testing::error_of;
using testing::without_preprocess;

std::filesystem::path golden_folder(const std::string& name) {
  return std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/models" / name;
}

Checkpoint golden_with(const std::string& name, const Json& config, const Settings& settings = {}) {
  return read_checkpoint(SafetensorsFile::open(golden_folder(name) / "model.safetensors"),
                         {.config = config, .preprocessor = nullptr, .labels_file = {}},
                         without_preprocess(settings));
}

TEST(HfPositions, NamesSayWhoseAFileIs) {
  const std::vector<std::pair<const char*, const Family*>> files = {
      {"hf_beit/classifier", hf_beit_family()},
      {"hf_beit/both_newer", hf_beit_family()},
      {"hf_beit/absolute", hf_beit_family()},
      {"hf_beit/data2vec_classifier", hf_data2vec_family()},
      {"hf_dinov3/gated", hf_dinov3_family()},
      {"hf_dinov3/key_bias_newer", hf_dinov3_family()},
      {"hf_tower/msn_classifier", hf_vit_msn_family()},
      {"hf_tower/ijepa_base", hf_ijepa_family()},
      {"hf_tower/ijepa_classifier", hf_ijepa_family()},
      {"hf_tower/internvl_norm", hf_internvl_family()},
      {"hf/vit_02", hf_vit_family()}};
  for (const auto& [name, family] : files) {
    SCOPED_TRACE(name);
    const auto tensors = SafetensorsFile::open(golden_folder(name) / "model.safetensors");
    EXPECT_EQ(recognise(*tensors, nullptr).family, family);
  }
}

TEST(HfPositions, ABareFileIsAskedForWhatNothingSays) {
  const std::string beit = error_of([] { golden_with("hf_beit/classifier", nullptr); });
  for (const char* field : {"layer_norm_epsilon", "activation"})
    EXPECT_NE(beit.find(field), std::string::npos) << beit;
  EXPECT_EQ(beit.find("num_heads"), std::string::npos) << "the table says it: " << beit;
  EXPECT_EQ(beit.find("image_size"), std::string::npos) << "the table says it: " << beit;
  const std::string dinov3 = error_of([] { golden_with("hf_dinov3/registers", nullptr); });
  EXPECT_NE(dinov3.find("rotary_base"), std::string::npos) << dinov3;
  const Checkpoint said = golden_with("hf_dinov3/key_bias_newer", nullptr,
                                      {{"num_heads", "2"},
                                       {"eps", "1e-5"},
                                       {"activation", "gelu"},
                                       {"image_size", "16"},
                                       {"rotary_base", "50"}});
  EXPECT_LE(
      testing::answer_error(testing::answer_of(said),
                            testing::answer_of(open_checkpoint(
                                golden_folder("hf_dinov3/key_bias_newer"), without_preprocess()))),
      1e-7);
}

TEST(HfPositions, WhatTheConfigurationSaysMustBeTrueOfTheTensors) {
  struct Bad {
    const char* name;
    const char* field;
    Json value;
    const char* part;
  };
  for (const Bad& bad : std::initializer_list<Bad>{
           {"hf_beit/classifier", "use_relative_position_bias", false,
            "use_relative_position_bias"},
           {"hf_beit/classifier", "use_shared_relative_position_bias", true, "use_shared"},
           {"hf_beit/classifier", "use_absolute_position_embeddings", true, "use_absolute"},
           {"hf_beit/classifier", "use_mean_pooling", false, "use_mean_pooling"},
           {"hf_beit/classifier", "layer_scale_init_value", 0.0, "layer_scale_init_value"},
           {"hf_beit/classifier", "image_size", {16, 8}, "not square"},
           {"hf_beit/classifier", "intermediate_size", 24, "intermediate_size"},
           {"hf_beit/classifier", "rope_theta", 10, "'rope_theta'"},
           {"hf_dinov3/registers", "num_register_tokens", 2, "num_register_tokens"},
           {"hf_dinov3/registers", "use_gated_mlp", true, "use_gated_mlp"},
           {"hf_dinov3/registers", "key_bias", true, "key_bias"},
           {"hf_dinov3/registers", "value_bias", false, "of all three, of q and v, or none"},
           {"hf_dinov3/registers", "proj_bias", false, "proj_bias"},
           {"hf_dinov3/registers", "rope_theta", 0, "rotary_base is 0"},
           {"hf_dinov3/registers", "use_mean_pooling", true, "'use_mean_pooling'"}}) {
    SCOPED_TRACE(bad.field);
    Json config = read_json(golden_folder(bad.name) / "config.json");
    config[bad.field] = bad.value;
    EXPECT_ERROR(golden_with(bad.name, config), bad.part);
  }
}

TEST(HfPositions, SeveralClassTokensAreRefusedByName) {
  const auto file = SafetensorsFile::open(golden_folder("hf/vit_02") / "model.safetensors");
  NamedTensors tensors;
  for (const std::string& name : file->names()) {
    const Tensor tensor = file->tensor(name);
    const bool token = name.ends_with("embeddings.cls_token");
    tensors.emplace_back(name, token ? Tensor::zeros({1, 3, tensor.numel()}) : tensor);
  }
  EXPECT_ERROR(read_checkpoint(std::make_shared<MemoryTensors>(tensors), {}, without_preprocess()),
               "several class tokens");
}

TEST(HfPositions, ATableOfBeitHasItsLibrarysRuleForOtherPictures) {
  const Checkpoint beit = open_checkpoint(golden_folder("hf_beit/shared"), without_preprocess());
  EXPECT_EQ(as_vit(beit.info.config).relative.table.resize, RelativeResize::bilinear);
  EXPECT_EQ(as_vit(beit.info.config).relative.shared, RelativePosition::table);
}

}  // namespace
}  // namespace vitrail
