// Recognising, configuring and refusing checkpoints.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <limits>

#include "models/families/published.h"
#include "models/family_fixtures.h"
#include "models/vit.h"

namespace vitrail {
namespace {

using testing::random_weights;
using testing::read;
using testing::renamed;
using testing::timm_json;
using testing::tiny_config;
using testing::without_preprocess;

Json hf_json(const char* type = "vit") {
  return {{"model_type", type}, {"hidden_size", 24},       {"num_attention_heads", 2},
          {"image_size", 16},   {"layer_norm_eps", 1e-12}, {"hidden_act", "gelu"},
          {"patch_size", 4},    {"num_hidden_layers", 2}};
}

std::string source_of(const Checkpoint& checkpoint, const std::string& field) {
  for (const Provenance& entry : checkpoint.info.sources)
    if (entry.field == field) return entry.source;
  return "";
}

TEST(FamilyTimm, ConfigurationNamesShapesAndPreprocessing) {
  const Checkpoint checkpoint = read(random_weights(tiny_config()), timm_json());
  EXPECT_EQ(checkpoint.info.family, timm_family());
  const VitConfig& c = as_vit(checkpoint.info.config);
  EXPECT_EQ(c.block.attention.num_heads, 2);
  EXPECT_EQ(c.embed_dim, 24);
  EXPECT_EQ(c.depth, 2);
  EXPECT_EQ(c.mlp_hidden(), 48);
  EXPECT_EQ(c.image_height, 16);
  EXPECT_EQ(c.layer_norm_epsilon, 1e-6);
  EXPECT_EQ(c.position.prefix, 1);
  EXPECT_EQ(checkpoint.info.preprocess_kind, PreprocessKind::timm);
  EXPECT_EQ(checkpoint.info.preprocess.at("mean")[0], 0.5);
  EXPECT_NE(source_of(checkpoint, "num_heads").find("config.json"), std::string::npos);
}

TEST(FamilyTimm, SettingsWinOverTheConfiguration) {
  const Checkpoint checkpoint =
      read(random_weights(tiny_config()), timm_json(), {{"heads", "4"}, {"mean", "0.25"}});
  EXPECT_EQ(as_vit(checkpoint.info.config).block.attention.num_heads, 4);
  EXPECT_EQ(source_of(checkpoint, "num_heads"), "ModelOptions::settings");
  EXPECT_EQ(checkpoint.info.preprocess.at("mean"), Json({0.25, 0.25, 0.25}));
  EXPECT_ERROR(read(random_weights(tiny_config()), timm_json(), {{"heads", "5"}}), "num_heads 5");
  EXPECT_ERROR(read(random_weights(tiny_config()), timm_json(), {{"headz", "4"}}), "headz");
  EXPECT_ERROR(read(random_weights(tiny_config()), timm_json(), {{"family", "hf_vit"}}), "family");
  EXPECT_ERROR(read(random_weights(tiny_config()), timm_json(), {{"mean", "x"}}), "mean");
}

TEST(FamilyTimm, WhatNobodySaysIsListedCompletely) {
  const std::string message =
      testing::error_of([] { read(random_weights(tiny_config()), nullptr); });
  for (const char* field : {"num_heads", "layer_norm_epsilon", "activation", "pooling", "mean",
                            "std", "interpolation", "crop_pct"})
    EXPECT_NE(message.find(field), std::string::npos) << field << ": " << message;
  // The positions say the size of the picture.
  EXPECT_EQ(message.find("image"), std::string::npos) << message;
  const Checkpoint checkpoint = read(random_weights(tiny_config()), nullptr,
                                     {{"num_heads", "2"},
                                      {"layer_norm_epsilon", "1e-6"},
                                      {"activation", "gelu"},
                                      {"pooling", "class_token"},
                                      {"mean", "0.5"},
                                      {"std", "0.5"},
                                      {"interpolation", "bicubic"},
                                      {"crop_pct", "0.9"}});
  EXPECT_EQ(as_vit(checkpoint.info.config).image_width, 16);
  EXPECT_EQ(checkpoint.info.preprocess.at("input_size"), Json({3, 16, 16}));
}

TEST(FamilyTimm, APublishedShapeSettlesNothingAndANameDoes) {
  VitConfig config = published_config(*find_published("vit_tiny_patch16_224"));
  config.num_classes = 3;
  NamedTensors tensors;
  const VisionTransformer model(config);
  for (const auto& parameter : model.parameters().all())
    tensors.emplace_back(parameter->path(), Tensor::zeros(parameter->shape()));
  const std::string message = testing::error_of([&] { read(tensors, nullptr); });
  // ViT and DeiT have these shapes, and so have MAE-Lite's with 12 heads.
  for (const char* field : {"num_heads", "layer_norm_epsilon", "activation", "pooling", "mean"})
    EXPECT_NE(message.find(field), std::string::npos) << message;
  EXPECT_NE(message.find("deit_tiny_patch16_224"), std::string::npos) << message;
  const Checkpoint named = read(tensors, nullptr, {{"architecture", "deit_tiny_patch16_224"}});
  EXPECT_EQ(as_vit(named.info.config).block.attention.num_heads, 3);
  EXPECT_EQ(named.info.preprocess.at("mean")[0], 0.485);
  EXPECT_NE(origin_of(named.info).find("from ModelOptions::settings architecture"),
            std::string::npos);
  EXPECT_ERROR(read(tensors, nullptr, {{"architecture", "vit_nobody"}}), "vit_nobody");
}

TEST(FamilyTimm, RefusesTensorsThatDoNotFit) {
  NamedTensors tensors = random_weights(tiny_config());
  const auto find = [&](const char* name) -> Tensor& {
    return std::ranges::find(tensors, name, &NamedTensors::value_type::first)->second;
  };
  tensors.emplace_back("blocks.0.attn.rel_pos", Tensor::zeros({3}));
  EXPECT_ERROR(read(tensors, timm_json()), "'blocks.0.attn.rel_pos'");
  tensors.pop_back();

  const Tensor weight = find("blocks.1.mlp.fc1.weight");
  find("blocks.1.mlp.fc1.weight") = Tensor::zeros({48, 25});
  EXPECT_ERROR(read(tensors, timm_json()), "'blocks.1.mlp.fc1.weight' is [48, 25]");
  find("blocks.1.mlp.fc1.weight") = weight.to(DType::i32);
  EXPECT_ERROR(read(tensors, timm_json()), "not floats");
  find("blocks.1.mlp.fc1.weight") = weight;

  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      Tensor poisoned = weight.clone();
      poisoned.f32()[100] = bad;
      find("blocks.1.mlp.fc1.weight") = poisoned.to(dtype);
      const Checkpoint checkpoint = read(tensors, timm_json());
      EXPECT_ERROR(checkpoint.tensors->tensor("blocks.1.mlp.fc1.weight"),
                   "'blocks.1.mlp.fc1.weight' holds a NaN or an infinity");
    }
  find("blocks.1.mlp.fc1.weight") = weight;

  std::erase_if(tensors, [](const auto& named) { return named.first == "blocks.1.norm2.bias"; });
  EXPECT_ERROR(read(tensors, timm_json()), "lacks the tensor 'blocks.1.norm2.bias'");
}

TEST(FamilyTimm, RefusesAConfigurationItCannotFollow) {
  const NamedTensors tensors = random_weights(tiny_config());
  const auto with = [](const char* key, Json value) {
    Json config = timm_json();
    config["model_args"][key] = std::move(value);
    return config;
  };
  EXPECT_ERROR(read(tensors, with("rope", true)), "'rope'");
  EXPECT_ERROR(read(tensors, with("act_layer", "mish")), "'mish'");
  EXPECT_ERROR(read(tensors, with("global_pool", "max")), "'max'");
  EXPECT_ERROR(read(tensors, with("num_heads", "two")), "not a whole number");
  Json labels = timm_json();
  labels["label_names"] = {"cat", "dog"};
  EXPECT_ERROR(read(tensors, labels), "names 2 classes, but the model answers 5");
}

TEST(FamilyTimm, PositionsOfAnotherPictureAreKept) {
  Json config = timm_json();
  config["model_args"]["img_size"] = {24, 32};
  const Checkpoint checkpoint = read(random_weights(tiny_config()), config);
  EXPECT_EQ(as_vit(checkpoint.info.config).image_width, 32);
  EXPECT_EQ(as_vit(checkpoint.info.config).position.grid_height, 4);
  EXPECT_EQ(as_vit(checkpoint.info.config).position.prefix, 1);
}

// --set image_size would read the table of positions as another grid, or leave it unstretched.
TEST(FamilyTimm, AnotherPictureSizeIsNoSetting) {
  const NamedTensors tensors = random_weights(tiny_config());
  EXPECT_ERROR(read(tensors, timm_json(), {{"image_size", "32"}}), "ModelOptions::size 32x32");
  EXPECT_ERROR(read(tensors, timm_json(), {{"image_height", "8"}, {"image_width", "32"}}),
               "ModelOptions::size 8x32");
  EXPECT_NO_THROW(read(tensors, timm_json(), {{"image_size", "16"}}));  // what it is anyway
}

TEST(FamilyHf, BothGenerationsOfNamesAndBaseModels) {
  VitConfig config = tiny_config();
  const Json preprocessor = {{"image_mean", {0.5, 0.5, 0.5}}};
  for (const int generation : {0, 1}) {
    Spelling spelling = spelling_for(hf_vit_family(), config);
    spelling.generation = generation;
    const NamedTensors tensors = renamed(config, spelling);
    const Checkpoint checkpoint = read(tensors, hf_json(), {}, preprocessor);
    EXPECT_EQ(checkpoint.info.family, hf_vit_family());
    EXPECT_EQ(as_vit(checkpoint.info.config).layer_norm_epsilon, 1e-12);
    EXPECT_EQ(checkpoint.info.preprocess_kind, PreprocessKind::hf);
    const Checkpoint own = testing::own_checkpoint(config, random_weights(config));
    EXPECT_EQ(std::memcmp(checkpoint.tensors->tensor("blocks.1.attn.qkv.weight").raw(),
                          own.tensors->tensor("blocks.1.attn.qkv.weight").raw(), 3 * 24 * 24 * 4),
              0);
  }
  config.num_classes = 0;
  NamedTensors base = renamed(config, spelling_for(hf_vit_family(), config));
  base.emplace_back("pooler.dense.weight", Tensor::zeros({24, 24}));
  const Checkpoint checkpoint = read(base, hf_json(), {}, preprocessor);
  EXPECT_EQ(as_vit(checkpoint.info.config).num_classes, 0);
  EXPECT_EQ(checkpoint.info.left_out, std::vector<std::string>{"pooler.dense.weight"});
}

TEST(FamilyHf, RefusesContradictions) {
  const VitConfig config = tiny_config();
  const NamedTensors tensors = renamed(config, spelling_for(hf_vit_family(), config));
  const auto with = [](const char* key, Json value) {
    Json json = hf_json();
    json[key] = std::move(value);
    return json;
  };
  EXPECT_ERROR(read(tensors, with("model_type", "donut-swin")), "'donut-swin'");
  EXPECT_ERROR(read(tensors, with("hidden_size", 48)), "hidden_size is 48");
  EXPECT_ERROR(read(tensors, with("patch_size", 8)), "patch_size");
  EXPECT_ERROR(read(tensors, with("hidden_act", "selu")), "'selu'");
  const Json preprocessor = Json::object();
  EXPECT_ERROR(read(tensors, with("id2label", {{"0", "cat"}}), {}, preprocessor),
               "names 1 classes");
  EXPECT_ERROR(read(tensors, with("id2label", {{"0", "cat"}, {"2", "dog"}}), {}, preprocessor),
               "names 2 classes, but the model answers 5");
  EXPECT_ERROR(read(tensors, hf_json()), "mean");  // no preprocessor_config.json
  // Names alone leave heads and epsilon open.
  EXPECT_ERROR(read(tensors, nullptr), "num_heads");
}

TEST(FamilyDinov2, ChunkedBlocksAndMaskToken) {
  VitConfig config = tiny_config();
  config.block.layer_scale = true;
  config.num_classes = 0;
  config.depth = 3;
  Spelling spelling = spelling_for(dinov2_family(), config);
  spelling.block_chunks = {0, 0, 1};
  NamedTensors tensors = renamed(config, spelling);
  tensors.emplace_back("mask_token", Tensor::zeros({1, 24}));
  const Checkpoint checkpoint = read_checkpoint(std::make_shared<MemoryTensors>(tensors), {},
                                                without_preprocess({{"heads", "2"}}));
  EXPECT_EQ(checkpoint.info.family, dinov2_family());
  EXPECT_EQ(as_vit(checkpoint.info.config).depth, 3);
  EXPECT_EQ(as_vit(checkpoint.info.config).position.resize, PositionResize::bicubic_offset);
  EXPECT_EQ(checkpoint.info.weights.size(), tensors.size() - 1);
  EXPECT_TRUE(checkpoint.file->contains("blocks.1.2.norm1.weight"));
}

TEST(Family, UnknownNamesAreShown) {
  EXPECT_ERROR(read({{"conv1.weight", Tensor::zeros({3})}, {"fc", Tensor::zeros({3})}}, nullptr),
               "conv1.weight, fc");
  EXPECT_ERROR(read({}, nullptr), "no known family");
  EXPECT_ERROR(read({{"patch_embed.proj.weight", Tensor::zeros({3})}}, nullptr), "patch embedding");
  EXPECT_ERROR(read({{"patch_embed.proj.weight", Tensor::zeros({8, 3, 4, 4})}}, nullptr),
               "no transformer blocks");
}

TEST(Family, OwnConfigurationIsChecked) {
  const NamedTensors tensors = random_weights(tiny_config());
  Json config = {{"model_type", "vitrail"}, {"model", to_json(tiny_config())}};
  config["model"]["num_heads"] = 7;
  EXPECT_ERROR(read(tensors, config), "does not divide");
  config["model"]["num_heads"] = 2;
  config["model"]["depth"] = 3;
  EXPECT_ERROR(read(tensors, config), "mean");  // nobody knows the preprocessing
  EXPECT_ERROR(read_checkpoint(std::make_shared<MemoryTensors>(tensors),
                               {.config = config, .preprocessor = nullptr, .labels_file = {}},
                               without_preprocess()),
               "lacks the tensor 'blocks.2.");
}

TEST(Published, EveryArchitectureIsAValidModel) {
  EXPECT_GT(published_architectures().size(), 100u);
  for (const PublishedArchitecture& architecture : published_architectures()) {
    SCOPED_TRACE(std::string(architecture.name));
    EXPECT_NO_THROW(published_config(architecture).validate());
    EXPECT_EQ(find_published(architecture.name), &architecture);
  }
  const VisionTransformer tiny(published_config(*find_published("vit_tiny_patch16_224")));
  EXPECT_EQ(tiny.parameters().num_elements(), 5717416);
  const VisionTransformer base(published_config(*find_published("vit_base_patch16_224")));
  EXPECT_EQ(base.parameters().num_elements(), 86567656);
  const VisionTransformer giant(published_config(*find_published("vit_giant_patch14_dinov2")));
  EXPECT_EQ(giant.parameters().num_elements(), 1136479232);
}

std::filesystem::path shared_data_folder() {
  if (const char* folder = std::getenv("VITRAIL_SHARED_DATA")) return folder;
  return std::filesystem::path(VITRAIL_SOURCE_DIR) / "../shared/data";
}

TEST(RealCheckpoints, VitTinyOpensByItself) {
  const auto folder = shared_data_folder() / "vit-tiny-imagenet";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "no real checkpoint at " << folder << "; VITRAIL_SHARED_DATA names the data";
  const Checkpoint checkpoint = open_checkpoint(folder);
  EXPECT_EQ(checkpoint.info.family, timm_family());
  EXPECT_EQ(as_vit(checkpoint.info.config).block.attention.num_heads, 3);
  EXPECT_EQ(as_vit(checkpoint.info.config).layer_norm_epsilon, 1e-6);
  EXPECT_EQ(checkpoint.info.preprocess.at("mean")[0], 0.5);
  EXPECT_EQ(checkpoint.info.labels_file.filename(), "imagenet_classes.json");
}

TEST(RealCheckpoints, VitMnistNeedsExactlyWhatItsFileDoesNotSay) {
  const auto file = shared_data_folder() / "vit-mnist" / "model.safetensors";
  if (!std::filesystem::exists(file))
    GTEST_SKIP() << "no real checkpoint at " << file << "; VITRAIL_SHARED_DATA names the data";
  const std::string message = testing::error_of([&] { open_checkpoint(file); });
  EXPECT_NE(message.find("do not determine activation, num_heads, pooling, mean, std, "
                         "interpolation, crop_pct;"),
            std::string::npos)
      << message;
  const Checkpoint checkpoint = open_checkpoint(file, {.settings = {{"heads", "4"},
                                                                    {"activation", "relu"},
                                                                    {"pooling", "class_token"},
                                                                    {"mean", "0.1307"},
                                                                    {"std", "0.3081"},
                                                                    {"interpolation", "bilinear"},
                                                                    {"crop_pct", "1"}},
                                                       .require_preprocess = true});
  const VitConfig& c = as_vit(checkpoint.info.config);
  EXPECT_EQ(c.head_size(), 64);
  EXPECT_EQ(c.in_channels, 1);
  EXPECT_EQ(c.patches.patch_height, 4);
  EXPECT_EQ(c.image_width, 28);
  EXPECT_EQ(c.layer_norm_epsilon, 1e-5);
  EXPECT_EQ(checkpoint.info.preprocess.at("input_size"), Json({1, 28, 28}));
}

}  // namespace
}  // namespace vitrail
