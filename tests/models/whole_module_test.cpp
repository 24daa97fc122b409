// Modules of timm and transformers saved whole: they say themselves what no name and no shape of
// their tensors says, and nothing has to be asked. Answers by the libraries (whole_modules.py).
#include <gtest/gtest.h>

#include <filesystem>

#include "core/queue.h"
#include "formats/safetensors.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/golden_case.h"
#include "models/vit.h"
#include "support/errors.h"

namespace vitrail {
namespace {

const std::filesystem::path kWhole = VITRAIL_SOURCE_DIR "/tests/golden/models/whole";

std::vector<std::string> names_of_cases(bool refused) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kWhole))
    if (const auto& path = entry.path();
        path.extension() == ".pth" && path.stem().string().starts_with("refused") == refused)
      names.push_back(path.stem().string());
  std::ranges::sort(names);
  return names;
}

// transformers keeps the preparation of pictures elsewhere, and who makes a model of timm by hand
// has none.
Checkpoint opened(const std::string& name) {
  CheckpointOptions options;
  options.require_preprocess = name.starts_with("timm") && name != "timm_by_hand";
  return open_checkpoint(kWhole / (name + ".pth"), options);
}

class WholeModule : public ::testing::TestWithParam<std::string> {};

TEST_P(WholeModule, AnswersWithoutAdvice) {
  const Checkpoint checkpoint = opened(GetParam());
  VisionTransformer model(as_vit(checkpoint.info.config));
  load_weights(model, *checkpoint.tensors);
  const auto answers = SafetensorsFile::open(kWhole / "answers.safetensors");
  Queue queue(1);
  const NetworkOutput output =
      model.forward(Context(queue), answers->tensor(GetParam() + ".input"));
  const Variable& answer = output.logits.defined() ? output.logits : output.pooled;
  EXPECT_LE(testing::relative_error(answer.value(), answers->tensor(GetParam() + ".logits")), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(All, WholeModule, ::testing::ValuesIn(names_of_cases(false)),
                         [](const auto& param_info) { return param_info.param; });

TEST(WholeModules, AreThere) {
  EXPECT_GE(names_of_cases(false).size(), 12u);
  EXPECT_EQ(names_of_cases(true).size(), 3u);
}

TEST(WholeModules, WhatTheirPartsComputeOtherwiseIsRefused) {
  const auto refusal = [](const char* name) {
    return testing::error_of([&] { opened(std::string("refused_") + name); });
  };
  EXPECT_NE(refusal("uneven_heads").find("differ in num_heads: 4 and 2"), std::string::npos);
  EXPECT_NE(refusal("scale").find("scales its attention by 1"), std::string::npos);
  EXPECT_NE(refusal("activation").find("torch.nn.modules.activation.Softsign"), std::string::npos);
}

TEST(WholeModules, LabelsAndPreparationAreTheirOwn) {
  const Checkpoint labelled = opened("hf_dinov2_registers");
  EXPECT_EQ(labelled.info.labels.size(), 5u);
  EXPECT_EQ(labelled.info.labels.at(2), "cat");
  const Checkpoint timm = opened("timm_quick_gelu");
  EXPECT_EQ(as_vit(timm.info.config).block.mlp.activation, Activation::quick_gelu);
  EXPECT_EQ(as_vit(timm.info.config).layer_norm_epsilon, 1e-5);
  EXPECT_EQ(timm.info.preprocess_kind, PreprocessKind::timm);
  EXPECT_EQ(as_vit(opened("timm_map_all").info.config).head.pooling, Pooling::map_all);
}

}  // namespace
}  // namespace vitrail
