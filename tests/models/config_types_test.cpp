// Configurations whose values are of other types than any writer gives them. What is asked of every
// reader: an answer or an Error, never an exception of the JSON library's, never out of memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "formats/json.h"
#include "formats/safetensors.h"
#include "models/families/checkpoint.h"
#include "support/json_mutations.h"

namespace vitrail {
namespace {

using testing::expect_errors_only;
namespace fs = std::filesystem;

const fs::path kModels = VITRAIL_SOURCE_DIR "/tests/golden/models";

struct Files {
  std::shared_ptr<TensorSource> tensors;
  CheckpointFiles beside;
};

Json json_in(const fs::path& path) {
  return fs::exists(path) ? read_json(path) : Json();
}

Files open(const fs::path& folder) {
  return {open_tensors(folder),
          {.config = json_in(folder / "config.json"),
           .preprocessor = json_in(folder / "preprocessor_config.json"),
           .labels_file = {}}};
}

void read(const Files& files, const Json& config, const Json& preprocessor) {
  CheckpointFiles beside = files.beside;
  beside.config = config;
  beside.preprocessor = preprocessor;
  read_checkpoint(files.tensors, beside);
}

class ConfigTypes : public ::testing::TestWithParam<const char*> {};

TEST_P(ConfigTypes, AreReadOrRefused) {
  const Files files = open(kModels / GetParam());
  ASSERT_FALSE(files.beside.config.is_null());
  expect_errors_only(files.beside.config,
                     [&](const Json& config) { read(files, config, files.beside.preprocessor); });
  if (files.beside.preprocessor.is_null()) return;
  expect_errors_only(files.beside.preprocessor, [&](const Json& preprocessor) {
    read(files, files.beside.config, preprocessor);
  });
}

INSTANTIATE_TEST_SUITE_P(OfFamilies, ConfigTypes,
                         ::testing::Values("timm/augreg", "timm/siglip", "timm/deit_distilled",
                                           "hf/vit_02", "hf/deit_00", "hf/dinov2_01",
                                           "hf/dinov2_registers_00", "vitrail/cct_3x1",
                                           "vitrail/resnet_hybrid"),
                         [](const auto& parameter) {
                           std::string name = parameter.param;
                           std::ranges::replace(name, '/', '_');
                           return name;
                         });

// Blocks that quantizing, calibrating and labelling add.
TEST(ConfigBlocks, AddedLaterAreReadOrRefused) {
  const Files files = open(kModels / "hf/vit_02");
  Json config = files.beside.config;
  config["precision"] = {{"base", "int8"}, {"layers", {{"blocks.0.attn.qkv", "f32"}}}};
  config["rejection"] = {{"threshold", 0.5}, {"accepted", 0.9}, {"certainty", "probability"}};
  config["labels"] = {"a", "b"};
  config["id2label"] = {{"0", "a"}, {"1", "b"}};
  config["pretrained_cfg"] = {{"input_size", {3, 16, 16}}, {"mean", {0.5, 0.5, 0.5}}};
  config["label_names"] = {"n01440764", "n01443537"};
  config["label_descriptions"] = {{"n01440764", "tench"}};
  expect_errors_only(config,
                     [&](const Json& changed) { read(files, changed, files.beside.preprocessor); });
}

}  // namespace
}  // namespace vitrail
