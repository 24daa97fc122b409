// Every tiny golden checkpoint opens by itself: recognised, configured and complete.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "formats/json.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/golden_case.h"
#include "models/network.h"

namespace vitrail {
namespace {

std::vector<std::filesystem::path> golden_cases() {
  std::vector<std::filesystem::path> folders;
  for (const std::string& name : testing::golden_case_names())
    folders.push_back(testing::golden_root() / name);
  return folders;
}

class FamilyGolden : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(FamilyGolden, OpensAndLoads) {
  const Json golden = read_json(GetParam() / "golden.json");
  CheckpointOptions options{.settings = {}, .require_preprocess = false};
  for (const auto& [key, value] : golden["settings"].items())
    options.settings.emplace_back(key, value.get<std::string>());
  const Checkpoint checkpoint = open_checkpoint(GetParam(), options);
  const bool own = GetParam().parent_path().filename() == "vitrail";
  EXPECT_EQ(checkpoint.info.family == own_family(), own) << name_of(checkpoint.info.family);
  const std::shared_ptr<Network> model = checkpoint.info.config.make();
  load_weights(*model, *checkpoint.tensors);
  for (const auto& parameter : model->parameters().all())
    EXPECT_TRUE(parameter->has_value()) << parameter->path();
}

INSTANTIATE_TEST_SUITE_P(All, FamilyGolden, ::testing::ValuesIn(golden_cases()),
                         [](const auto& param_info) {
                           return param_info.param.parent_path().filename().string() + "_" +
                                  param_info.param.filename().string();
                         });

}  // namespace
}  // namespace vitrail
