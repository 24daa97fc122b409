// LoRA adapters as PEFT writes them, against what PEFT answers once it has loaded them again
// (tests/golden/peft), and what is refused by name.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "formats/json.h"
#include "formats/safetensors.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/golden_case.h"
#include "models/peft/adapter_config.h"
#include "models/peft/apply_adapter.h"
#include "models/vit.h"
#include "support/errors.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

const fs::path kPeftGolden = fs::path(VITRAIL_SOURCE_DIR) / "tests/golden/peft";
constexpr const char* kConfig = "adapter_config.json";
constexpr const char* kTensors = "adapter_model.safetensors";
constexpr const char* kPrefix = "base_model.model.";

Checkpoint open_adapted(const fs::path& base, const fs::path& adapter) {
  return open_checkpoint(
      base, {.settings = {{"adapter", adapter.string()}}, .require_preprocess = false});
}

Tensor logits_of(const Checkpoint& checkpoint, const Tensor& input) {
  const std::shared_ptr<Network> model = checkpoint.info.config.make();
  load_weights(*model, *checkpoint.tensors);
  Queue queue(1);
  return model->forward(Context(queue), input).logits.value().clone();
}

std::vector<std::string> golden_adapters() {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(kPeftGolden))
    if (entry.path().filename() == kConfig)
      names.push_back(fs::relative(entry.path().parent_path(), kPeftGolden).generic_string());
  std::ranges::sort(names);
  return names;
}

class Peft : public ::testing::TestWithParam<std::string> {};

TEST_P(Peft, AnswersAsPeftDoes) {
  const fs::path folder = kPeftGolden / GetParam();
  const auto golden = SafetensorsFile::open(folder.parent_path() / "golden.safetensors");
  const Checkpoint checkpoint = open_adapted(folder.parent_path(), folder);
  const Tensor logits = logits_of(checkpoint, golden->tensor("input"));
  const Tensor wanted = golden->tensor("logits." + folder.filename().string());
  EXPECT_LE(testing::relative_error(logits, wanted), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(All, Peft, ::testing::ValuesIn(golden_adapters()), [](const auto& test) {
  std::string name = test.param;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});

TEST(PeftGolden, EveryAdapterIsThere) {
  EXPECT_EQ(golden_adapters().size(), 28U);
}

// A copy of a golden adapter to spoil.
class SpoiledAdapter : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(VITRAIL_BINARY_DIR) /
              (std::string("peft_test_") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    take("timm/plain");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void take(const std::string& name) {
    base_ = (kPeftGolden / name).parent_path();
    config_ = read_json(kPeftGolden / name / kConfig);
    const auto file = SafetensorsFile::open(kPeftGolden / name / kTensors);
    tensors_.clear();
    for (const std::string& tensor : file->names()) tensors_[tensor] = file->tensor(tensor).clone();
  }
  Checkpoint open() {
    write_json(folder_ / kConfig, config_);
    write_safetensors(folder_ / kTensors, {tensors_.begin(), tensors_.end()});
    return open_adapted(base_, folder_);
  }

  fs::path folder_, base_;
  Json config_;
  std::map<std::string, Tensor> tensors_;
};

// Each field that PEFT 0.21 writes, with a value that would change the answer.
TEST_F(SpoiledAdapter, RefusesEachFieldThatItDoesNotHonourByName) {
  const std::vector<std::pair<const char*, Json>> fields = {
      {"alora_invocation_tokens", {1, 2}},
      {"arrow_config", {{"top_k", 3}}},
      {"kasa_config", {{"beta", 1e-4}}},
      {"layer_replication", {{0, 2}, {1, 2}}},
      {"megatron_config", {{"tensor_parallel", 2}}},
      {"monteclora_config", {{"samples", 4}}},
      {"target_parameters", {"blocks.0.attn.qkv.weight"}},
      {"trainable_token_indices", {5}},
      {"use_bdlora", {{"blocks", 2}}},
      {"use_qalora", true},
      {"velora_config", {{"groups", 2}}},
      {"a_field_of_tomorrow", "on"}};
  const Json whole = config_;
  for (const auto& [field, value] : fields) {
    config_ = whole;
    config_[field] = value;
    EXPECT_ERROR(open(), std::string(field) + " is ");
    config_[field] = nullptr;
    EXPECT_NO_THROW(open()) << field;
  }
}

TEST_F(SpoiledAdapter, RefusesInitialisationsThatChangedTheBase) {
  for (const char* name : {"pissa", "pissa_niter_16", "olora", "OLoRA", "corda", "loftq", "lora_ga",
                           "mica", "something_new"}) {
    config_["init_lora_weights"] = name;
    EXPECT_ERROR(open(), "init_lora_weights");
  }
  for (const Json& plain : {Json(true), Json(false), Json("gaussian"), Json("eva"), Json()}) {
    config_["init_lora_weights"] = plain;
    EXPECT_NO_THROW(open()) << plain;
  }
}

TEST_F(SpoiledAdapter, RefusesOtherKindsOfAdapters) {
  for (const char* type : {"LOHA", "LOKR", "IA3", "VERA", "OFT", "ADALORA"}) {
    config_["peft_type"] = type;
    EXPECT_ERROR(open(), type);
  }
}

TEST_F(SpoiledAdapter, RefusesTensorsThatItHasNoUseForByName) {
  const std::map<std::string, Tensor> whole = tensors_;
  const Tensor vector = Tensor::full({24}, 1);
  for (const char* name :
       {"base_model.model.blocks.7.norm1.weight", "base_model.model.extra.weight",
        "base_model.model.blocks.0.attn.qkv.lora_embedding_A", "blocks.0.norm1.weight",
        "base_model.model.blocks.0.attn.qkv.lora_C.weight",
        "base_model.model.blocks.0.attn.qkv.lora_magnitude_vector",
        "base_model.model.blocks.0.attn.qkv.lora_B.bias"}) {
    tensors_ = whole;
    tensors_[name] = vector;
    EXPECT_ERROR(open(), name);
  }
  tensors_ = whole;  // of a projection that target_modules does not name: PEFT would not load it
  for (const char* half : {".lora_A.weight", ".lora_B.weight"})
    tensors_[std::string(kPrefix) + "blocks.0.attn.proj" + half] =
        Tensor::full(half == std::string(".lora_A.weight") ? Shape{2, 24} : Shape{24, 2}, 1);
  EXPECT_ERROR(open(), "blocks.0.attn.proj.lora_A.weight' is of a module that target_modules");
}

TEST_F(SpoiledAdapter, RefusesWhatIsMissingByName) {
  const std::map<std::string, Tensor> whole = tensors_;
  tensors_.erase(std::string(kPrefix) + "blocks.1.mlp.fc1.lora_B.weight");
  EXPECT_ERROR(open(), "'blocks.1.mlp.fc1' has no lora_B.weight");
  tensors_.erase(std::string(kPrefix) + "blocks.1.mlp.fc1.lora_A.weight");
  EXPECT_ERROR(open(), "no lora_A and lora_B of 'blocks.1.mlp.fc1'");
  tensors_ = whole;
  tensors_.erase(std::string(kPrefix) + "head.weight");
  tensors_.erase(std::string(kPrefix) + "head.bias");
  EXPECT_ERROR(open(), "'head', which modules_to_save names");
  take("timm/magnitudes");
  tensors_.erase(std::string(kPrefix) + "blocks.0.mlp.fc2.lora_magnitude_vector");
  EXPECT_ERROR(open(), "lora_magnitude_vector, which use_dora asks for");
  take("timm/product_bias");
  tensors_.erase(std::string(kPrefix) + "blocks.0.mlp.fc1.lora_B.bias");
  EXPECT_ERROR(open(), "is missing, which lora_bias asks for");
}

TEST_F(SpoiledAdapter, RefusesRanksShapesAndPatternsThatContradict) {
  const Json whole = config_;
  config_["r"] = 3;
  EXPECT_ERROR(open(), "has a rank of 2, and the configuration says 3");
  config_ = whole;
  config_["rank_pattern"] = {{"fc1", 4}};
  EXPECT_ERROR(open(), "has a rank of 2, and the configuration says 4");
  config_ = whole;
  config_["alpha_pattern"] = {{"qkv", 4}, {"attn.qkv", 5}};
  EXPECT_ERROR(open(), "alpha_pattern says two things of blocks.0.attn.qkv");
  config_ = whole;
  config_["alpha_pattern"] = {{"(", 4}};
  EXPECT_ERROR(open(), "not a regular expression");
  config_ = whole;
  config_["lora_alpha"] = "8";
  EXPECT_ERROR(open(), "lora_alpha");
  config_ = whole;
  tensors_[std::string(kPrefix) + "blocks.0.attn.qkv.lora_A.weight"] = Tensor::full({2, 23}, 1);
  EXPECT_ERROR(open(), "does not fit the model's blocks.0.attn.qkv.weight");
}

TEST_F(SpoiledAdapter, RefusesValuesThatAreNotFinite) {
  tensors_[std::string(kPrefix) + "blocks.0.attn.qkv.lora_B.weight"].f32()[3] = INFINITY;
  const Checkpoint checkpoint = open();
  EXPECT_ERROR(checkpoint.tensors->tensor("blocks.0.attn.qkv.weight"), "not finite");
}

// A stranger's expression: matched in polynomial time, or refused.
TEST_F(SpoiledAdapter, ExpressionsDoNotRunAway) {
  config_["alpha_pattern"] = {{"(a*)*(b*)*(.*)*(.*)*(.*)*x", 4}};
  EXPECT_NO_THROW(open());
  config_["alpha_pattern"] = {{std::string(2000, 'a'), 4}};
  EXPECT_ERROR(open(), "not a regular expression");
}

// What bias="all" leaves of a head that is saved whole stands there twice: as it should, the same.
TEST_F(SpoiledAdapter, RefusesTwoValuesOfOneParameter) {
  take("timm/bias_all");
  const std::string name = std::string(kPrefix) + "head.modules_to_save.bias";
  ASSERT_TRUE(tensors_.contains(name));
  EXPECT_NO_THROW(open());
  tensors_[name].f32()[0] += 1;
  EXPECT_ERROR(open(), "are the same parameter and differ");
}

TEST_F(SpoiledAdapter, SaysWhichLabelsCount) {
  EXPECT_TRUE(std::ranges::count(open().info.warnings, "the adapter's classes have no names") == 1);
  write_json(folder_ / "labels.json", {"a", "b", "c", "d", "e"});
  EXPECT_EQ(open().info.labels, (std::vector<std::string>{"a", "b", "c", "d", "e"}));
}

}  // namespace
}  // namespace vitrail
