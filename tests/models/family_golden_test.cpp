// Every tiny golden checkpoint opens by itself: recognised, configured and complete.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "formats/json.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/vit.h"

namespace vitrail {
namespace {

const std::filesystem::path kGolden = VITRAIL_SOURCE_DIR "/tests/golden/models";

std::vector<std::filesystem::path> golden_cases() {
  std::vector<std::filesystem::path> folders;
  for (const char* family : {"timm", "hf", "dinov2", "vit_pytorch", "vitrail"})
    for (const auto& entry : std::filesystem::directory_iterator(kGolden / family))
      if (std::filesystem::exists(entry.path() / "golden.json")) folders.push_back(entry.path());
  std::ranges::sort(folders);
  return folders;
}

class FamilyGolden : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(FamilyGolden, OpensAndLoads) {
  const Json golden = read_json(GetParam() / "golden.json");
  CheckpointOptions options{.settings = {}, .require_preprocess = false};
  for (const auto& [key, value] : golden["settings"].items())
    options.settings.emplace_back(key, value.get<std::string>());
  const Checkpoint checkpoint = open_checkpoint(GetParam(), options);
  const std::string family = get<std::string>(golden, "family", "golden.json");
  EXPECT_TRUE(std::string(name_of(checkpoint.info.family)).starts_with(family))
      << name_of(checkpoint.info.family);
  VisionTransformer model(as_vit(checkpoint.info.config));
  load_weights(model, *checkpoint.tensors);
  for (const auto& parameter : model.parameters().all())
    EXPECT_TRUE(parameter->has_value()) << parameter->path();
}

INSTANTIATE_TEST_SUITE_P(All, FamilyGolden, ::testing::ValuesIn(golden_cases()),
                         [](const auto& param_info) {
                           return param_info.param.parent_path().filename().string() + "_" +
                                  param_info.param.filename().string();
                         });

}  // namespace
}  // namespace vitrail
