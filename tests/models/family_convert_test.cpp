// Every conversion answers as before, and the way back gives the bytes of the start wherever no
// fold was listed.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "models/family_fixtures.h"

namespace vitrail {
namespace {

using testing::answer_error;
using testing::answer_of;
using testing::own_checkpoint;
using testing::random_weights;
using testing::tiny_config;
using testing::without_preprocess;

class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vitrail_XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no scratch folder");
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

VitConfig distilled() {
  VitConfig config = tiny_config();
  config.tokens.distillation_token = true;
  config.position.prefix = 2;
  config.head.pooling = Pooling::distilled;
  return config;
}

VitConfig dinov2(int64_t registers) {
  VitConfig config = tiny_config();
  config.block.layer_scale = true;
  config.tokens.register_tokens = registers;
  config.num_classes = 0;
  return config;
}

VitConfig swiglu() {
  VitConfig config = dinov2(0);
  config.block.mlp.kind = MlpKind::gated_packed;
  config.block.mlp.activation = Activation::silu;
  config.block.mlp.hidden = 64;  // what transformers computes for a ratio of 4
  return config;
}

VitConfig vit_pytorch() {
  VitConfig config = tiny_config();
  config.patch_embedding = PatchEmbedding::linear;
  config.layer_norm_epsilon = 1e-5;
  config.block.attention.qkv_bias = false;
  config.block.attention.head_dim = 10;
  config.head.norm = true;
  config.final_norm = false;
  config.block.mlp.activation = Activation::relu;
  return config;
}

struct Case {
  const char* name;
  VitConfig config;
  const Family* target;
  bool exact;  // there and back without a fold
};

std::vector<Case> cases() {
  VitConfig epsilon12 = tiny_config();
  epsilon12.layer_norm_epsilon = 1e-12;
  VitConfig rectangular = tiny_config();
  rectangular.image_width = 24;
  rectangular.patches.patch_height = 8;
  rectangular.block.attention.qkv_bias = false;
  VitConfig narrow_heads = vit_pytorch();
  narrow_heads.block.attention.head_dim = 0;
  VitConfig everything = tiny_config();
  everything.block.attention.qk_norm = everything.block.attention.output_norm =
      everything.block.mlp.hidden_norm = true;
  everything.pre_norm = true;
  everything.patches.bias = false;
  everything.head.pooling = Pooling::map;
  everything.tokens.class_token = false;
  everything.position.prefix = 0;
  VitConfig one_head = vit_pytorch();
  one_head.block.attention.head_dim = 0;
  one_head.block.attention.num_heads = 1;
  one_head.block.attention.projection = false;
  VitConfig undistilled = distilled();
  undistilled.head.pooling = Pooling::class_token;
  VitConfig with_head = dinov2(3);
  with_head.num_classes = 5;
  with_head.head.pooling = Pooling::class_and_mean;
  return {{"vit_to_timm", tiny_config(), timm_family(), true},
          {"vit_to_hf_vit", tiny_config(), hf_vit_family(), true},
          {"vit_to_hf_dinov2", tiny_config(), hf_dinov2_family(), false},
          {"rectangular_to_hf", rectangular, hf_vit_family(), true},
          {"rectangular_to_timm", rectangular, timm_family(), true},
          {"epsilon12_to_timm", epsilon12, timm_family(), false},
          {"distilled_to_timm", distilled(), timm_family(), true},
          {"distilled_to_hf", distilled(), hf_deit_family(), true},
          {"dinov2_to_original", dinov2(0), dinov2_family(), false},
          {"dinov2_to_hf", dinov2(0), hf_dinov2_family(), false},
          {"dinov2_to_timm", dinov2(0), timm_family(), true},
          {"registers_to_original", dinov2(4), dinov2_family(), false},
          {"registers_to_hf", dinov2(4), hf_dinov2_family(), false},
          {"registers_to_timm", dinov2(4), timm_family(), false},
          {"registers_with_head_to_hf", with_head, hf_dinov2_family(), false},
          {"swiglu_to_original", swiglu(), dinov2_family(), false},
          {"swiglu_to_hf", swiglu(), hf_dinov2_family(), false},
          {"swiglu_to_timm", swiglu(), timm_family(), true},
          {"vit_pytorch_to_itself", vit_pytorch(), vit_pytorch_family(), true},
          {"vit_pytorch_to_hf", vit_pytorch(), hf_vit_family(), false},
          {"vit_pytorch_to_timm", narrow_heads, timm_family(), true},
          {"one_head_to_timm", one_head, timm_family(), false},
          {"one_head_to_itself", one_head, vit_pytorch_family(), true},
          {"undistilled_to_timm", undistilled, timm_family(), false},
          {"undistilled_to_hf", undistilled, hf_deit_family(), true},
          {"everything_to_timm", everything, timm_family(), true}};
}

// Folds of weights: the rule for pictures of another size changes no byte.
std::vector<std::string> weight_folds(const ConversionReport& report) {
  std::vector<std::string> folds = report.folds;
  std::erase_if(folds, [](const std::string& fold) {
    return fold.find("pictures of another size") != std::string::npos;
  });
  return folds;
}

class Convert : public ::testing::TestWithParam<Case> {};

TEST_P(Convert, AnswersAlikeAndReturns) {
  const Case& given = GetParam();
  const NamedTensors weights = random_weights(given.config);
  const Checkpoint start = own_checkpoint(given.config, weights);
  const Scratch scratch;
  const ConversionReport there =
      write_converted(scratch / "there", start,
                      {.target = given.target, .preprocess = nullptr, .labels = {}, .wnids = {}});
  const std::vector<std::string> folds = weight_folds(there);
  EXPECT_EQ(folds.empty(), given.exact) << (folds.empty() ? "" : folds.front());

  const Checkpoint middle = open_checkpoint(scratch / "there", without_preprocess());
  EXPECT_EQ(middle.info.family, given.target);
  EXPECT_LE(answer_error(answer_of(middle), answer_of(start)), 3e-6);

  write_converted(scratch / "back", middle,
                  {.target = own_family(), .preprocess = nullptr, .labels = {}, .wnids = {}});
  const Checkpoint back = open_checkpoint(scratch / "back", without_preprocess());
  EXPECT_LE(answer_error(answer_of(back), answer_of(start)), 3e-6);
  if (!given.exact) return;
  for (const auto& [name, tensor] : weights) {
    const Tensor returned = back.tensors->tensor(name);
    ASSERT_EQ(returned.numel(), tensor.numel()) << name;
    // The patch embedding may have become the equivalent convolution.
    if (name == "patch_embed.proj.weight" &&
        given.config.patch_embedding != as_vit(middle.info.config).patch_embedding)
      continue;
    EXPECT_EQ(std::memcmp(returned.raw(), tensor.raw(), tensor.bytes()), 0) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Convert, ::testing::ValuesIn(cases()),
                         [](const auto& case_info) { return std::string(case_info.param.name); });

// A golden converted to another family and back has the very file it began with.
TEST(ConvertGolden, ThereAndBackIsByteEqual) {
  struct Journey {
    const char* name;
    const Family* through;
    Settings settings;
  };
  const std::vector<Journey> journeys = {
      {"hf/vit_02", own_family(), {}},
      {"hf/deit_teacher_01", own_family(), {}},
      {"hf/deit_teacher_01", timm_family(), {{"layer_norm_epsilon", "1e-6"}}},
      {"hf/dinov2_01", own_family(), {}},
      {"hf/dinov2_registers_00", dinov2_family(), {}},
      {"timm/augreg", hf_vit_family(), {}},
      {"timm/deit_distilled", hf_deit_family(), {}},
      {"timm/dinov2_reg4", own_family(), {}},
      {"dinov2/options_00", own_family(), {{"num_heads", "3"}}},
      {"hf_tower/msn_base", own_family(), {}},
      {"hf_tower/mae", own_family(), {}},
      {"hf_tower/ijepa_classifier", own_family(), {}},
      {"hf_tower/internvl_norm", own_family(), {}},
      {"hf_tower/clip", own_family(), {}},
      {"hf_tower/clip_projection", own_family(), {}},
      {"hf_tower/clip_classifier", own_family(), {}},
      {"hf_tower/owlvit", own_family(), {}},
      {"hf_tower/siglip_vision", own_family(), {}},
      {"hf_tower/siglip_classifier", own_family(), {}},
      {"hf_tower/siglip2_vision", own_family(), {}},
      {"hf_tower/blip_2", own_family(), {}},
      {"hf_tower/aimv2_biases", own_family(), {}},
      {"hf_tower/tips_gated", own_family(), {}},
      {"hf_beit/classifier", timm_beit_family(), {{"layer_norm_epsilon", "1e-6"}}},
      {"hf_beit/both_newer", own_family(), {}},
      {"hf_beit/absolute", own_family(), {}},
      {"hf_beit/data2vec_classifier", own_family(), {}},
      {"hf_beit/data2vec_classifier", hf_beit_family(), {}},
      {"hf_dinov3/registers", own_family(), {}},
      {"hf_dinov3/gated", timm_eva_family(), {}},
      {"hf_dinov3/key_bias_newer", own_family(), {}},
      {"hf_dinov3/no_biases", own_family(), {}},
      {"timm_positions/beit", hf_beit_family(), {}}};
  for (const Journey& journey : journeys) {
    SCOPED_TRACE(journey.name);
    const Scratch scratch;
    const auto folder =
        std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/models" / journey.name;
    const Checkpoint start = open_checkpoint(folder, without_preprocess(journey.settings));
    const ConversionReport there = write_converted(
        scratch / "there", start,
        {.target = journey.through, .preprocess = nullptr, .labels = {}, .wnids = {}});
    const Checkpoint middle = open_checkpoint(scratch / "there", without_preprocess());
    write_converted(
        scratch / "back", middle,
        {.target = start.info.family, .preprocess = nullptr, .labels = {}, .wnids = {}});
    const auto back = SafetensorsFile::open(scratch / "back" / "model.safetensors");
    EXPECT_EQ(weight_folds(there), std::vector<std::string>{});
    for (const std::string& name : start.file->names()) {
      if (std::ranges::find(there.left_out, name) != there.left_out.end()) continue;
      ASSERT_TRUE(back->contains(name)) << name;
      const Tensor before = start.file->tensor(name), after = back->tensor(name);
      ASSERT_EQ(before.bytes(), after.bytes()) << name;
      EXPECT_EQ(std::memcmp(before.raw(), after.raw(), before.bytes()), 0) << name;
    }
  }
}

TEST(ConvertRefuses, WhatTheTargetCannotExpress) {
  const auto refusal = [](const VitConfig& config, const Family* target) {
    return testing::error_of([&] { adapt(config, MemoryTensors(random_weights(config)), target); });
  };
  const auto with = [](auto change) {
    VitConfig config = tiny_config();
    change(config);
    return config;
  };
  const auto expect = [](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect(refusal(with([](auto& c) { c.block.attention.qk_norm = true; }), hf_vit_family()),
         "qk_norm");
  expect(refusal(with([](auto& c) { c.head.pooling = Pooling::mean; }), hf_vit_family()),
         "pooling");
  expect(refusal(with([](auto& c) { c.tokens.register_tokens = 2; }), hf_vit_family()), "register");
  expect(refusal(with([](auto& c) { c.block.layer_scale = true; }), hf_vit_family()), "LayerScale");
  expect(refusal(tiny_config(), hf_deit_family()), "distillation");
  expect(refusal(tiny_config(), dinov2_family()), "head");
  expect(refusal(tiny_config(), vit_pytorch_family()), "bias of q, k and v");
  expect(refusal(with([](auto& c) { c.block.norms = NormPlacement::post; }), timm_family()),
         "norm_placement");
  expect(refusal(with([](auto& c) { c.position.kind = Position::sincos_2d; }), timm_family()),
         "learned");
  expect(refusal(with([](auto& c) { c.block.mlp.kind = MlpKind::gated_split; }), timm_family()),
         "a projection for each half");
  expect(refusal(with([](auto& c) { c.block.attention.head_dim = 10; }), timm_family()),
         "heads of 10");
  expect(refusal(with([](auto& c) { c.head.pooling = Pooling::sequence; }), timm_family()),
         "sequence");
  const auto config_refusal = [&](Activation activation) {
    std::vector<std::string> folds;
    const VitConfig config = with([&](auto& c) { c.block.mlp.activation = activation; });
    return testing::error_of(
        [&] { timm_family()->config_for(config, {.target = timm_family()}, folds); });
  };
  expect(config_refusal(Activation::tanh), "tanh");
  expect(config_refusal(Activation::none), "without activation");
}

TEST(Convert, LabelsAndMetadataTravel) {
  const Scratch scratch;
  const VitConfig config = tiny_config();
  const Checkpoint start = own_checkpoint(config, random_weights(config));
  const std::vector<std::string> labels = {"cat", "dog", "owl", "fox", "eel"};
  const std::vector<std::string> wnids = {"n00000001", "n00000002", "n00000003", "n00000004",
                                          "n00000005"};
  for (const Family* const target : {timm_family(), hf_vit_family(), own_family()}) {
    const auto folder = scratch / name_of(target);
    write_converted(folder, start,
                    {.target = target,
                     .preprocess = {{"mean", {0.5, 0.5, 0.5}},
                                    {"std", {0.5, 0.5, 0.5}},
                                    {"interpolation", "bicubic"},
                                    {"crop_pct", 1.0}},
                     .labels = labels,
                     .wnids = wnids});
    const Checkpoint read = open_checkpoint(folder);
    EXPECT_EQ(read.info.labels, labels) << name_of(target);
    if (target != hf_vit_family()) {
      EXPECT_EQ(read.info.wnids, wnids) << name_of(target);
    }
    EXPECT_EQ(read.info.preprocess.at("mean")[0], 0.5);
    EXPECT_EQ(read.file->metadata().at("format"), "pt");
  }
}

TEST(Convert, AnUnwritableFolderIsRefused) {
  const Checkpoint start = own_checkpoint(tiny_config(), random_weights(tiny_config()));
  EXPECT_ERROR(write_converted("/proc/nowhere/model", start, {}), "/proc/nowhere");
}

}  // namespace
}  // namespace vitrail
