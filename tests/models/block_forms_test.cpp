// Blocks, norms and stems of other forms: as timm's files and back, and what contradicts itself.
// Their numbers are tests/golden's.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>

#include "models/family_fixtures.h"

namespace vitrail {
namespace {

using testing::answer_error;
using testing::answer_of;
using testing::own_checkpoint;
using testing::random_weights;
using testing::tiny_config;
using testing::without_preprocess;

struct BlockForm {
  const char* name;
  std::function<void(VitConfig&)> set;
};

void set_parallel(VitConfig& c) {
  c.block.norms = NormPlacement::parallel;
}

const std::vector<BlockForm>& block_forms() {
  static const std::vector<BlockForm> forms = {
      {"parallel", set_parallel},
      {"parallel_scaled",
       [](VitConfig& c) {
         set_parallel(c);
         c.block.layer_scale = true;
       }},
      {"parallel_rms",
       [](VitConfig& c) {
         set_parallel(c);
         c.norm = NormKind::root_mean_square;
         c.block.attention.qkv_bias = false;
         c.block.attention.qk_norm = true;
       }},
      {"parallel_differential",
       [](VitConfig& c) {
         set_parallel(c);
         c.block.attention.differential = true;
         c.block.layer_scale = true;
         c.block.mlp.output_bias = false;
       }},
      // timm's definition has a LayerScale and one bias for both branches.
      {"parallel_differential_folded",
       [](VitConfig& c) {
         set_parallel(c);
         c.block.attention.differential = true;
       }},
      {"differential",
       [](VitConfig& c) {
         c.block.attention.differential = true;
         c.block.attention.qk_norm = true;
       }},
      {"branches",
       [](VitConfig& c) {
         c.block.branches = 2;
         c.block.layer_scale = true;
       }},
      {"branches_without_scale", [](VitConfig& c) { c.block.branches = 2; }},
      {"rms_norm", [](VitConfig& c) { c.norm = NormKind::root_mean_square; }},
      {"aimv2",
       [](VitConfig& c) {
         c.norm = NormKind::root_mean_square;
         c.layer_norm_epsilon = 1e-5;
         c.patches.output_norm = true;
         c.block.mlp.kind = MlpKind::gated_split;
         c.block.mlp.activation = Activation::silu;
         c.block.attention.qkv_bias = c.block.attention.projection_bias = c.block.mlp.bias = false;
       }},
  };
  return forms;
}

class BlockForms : public ::testing::TestWithParam<size_t> {};

TEST_P(BlockForms, AnswerAsTimmSFiles) {
  const BlockForm& form = block_forms().at(GetParam());
  VitConfig config = tiny_config();
  form.set(config);
  const Checkpoint own = own_checkpoint(config, random_weights(config));
  std::string pattern = (std::filesystem::temp_directory_path() / "vitrail_XXXXXX").string();
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  write_converted(pattern, own, {.target = timm_family()});
  const Checkpoint timm = open_checkpoint(pattern, without_preprocess());
  EXPECT_EQ(timm.info.family, timm_family());
  EXPECT_LE(answer_error(answer_of(timm), answer_of(own)), 1e-5);
  // Nothing of it needs Vitrail's configuration.
  EXPECT_FALSE(read_json(std::filesystem::path(pattern) / "config.json").contains("model"));
  std::filesystem::remove_all(pattern);
}

INSTANTIATE_TEST_SUITE_P(All, BlockForms, ::testing::Range(size_t{0}, block_forms().size()),
                         [](const auto& each) { return block_forms().at(each.param).name; });

// What a block reads and adds does not change when its MLP adds nothing: then attention and MLP of
// one norm are attention alone, and so are branches of which one alone adds something.
void silence(NamedTensors& tensors, const char* part) {
  for (auto& [name, tensor] : tensors)
    if (name.find(part) != std::string::npos) std::ranges::fill(tensor.values(), 0.0f);
}

void replace(std::string& name, const std::string& from, const std::string& to) {
  if (const size_t at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
}

const std::vector<BlockForm>& forms_of_attention() {
  static const std::vector<BlockForm> forms = {
      {"rotary", [](VitConfig& c) { c.rotary.kind = Rotary::axial; }},
      {"shared_relative", [](VitConfig& c) { c.relative.shared = RelativePosition::table; }},
      {"reattention", [](VitConfig& c) { c.block.attention.mixing = HeadMixingKind::reattention; }},
      {"no_key_bias", [](VitConfig& c) { c.block.attention.key_bias = false; }},
      {"rms_norm",
       [](VitConfig& c) {
         c.norm = NormKind::root_mean_square;
         c.block.attention.qk_norm = true;
       }},
      {"differential", [](VitConfig& c) { c.block.attention.differential = true; }},
  };
  return forms;
}

class AttentionInBlockForms : public ::testing::TestWithParam<size_t> {};

TEST_P(AttentionInBlockForms, IsThatOfAPlainBlock) {
  VitConfig plain = tiny_config();
  forms_of_attention().at(GetParam()).set(plain);
  NamedTensors tensors = random_weights(plain);
  silence(tensors, "mlp.fc2");
  const Tensor answer = answer_of(own_checkpoint(plain, tensors));

  VitConfig parallel = plain;
  set_parallel(parallel);
  NamedTensors of_one_norm = tensors;
  std::erase_if(of_one_norm,
                [](const auto& each) { return each.first.find("norm2") != std::string::npos; });
  EXPECT_LE(answer_error(answer_of(own_checkpoint(parallel, of_one_norm)), answer), 1e-6);

  VitConfig branches = plain;
  branches.block.branches = 2;
  NamedTensors side_by_side = random_weights(branches, 3);
  silence(side_by_side, "attns.1.attn.proj");
  silence(side_by_side, "mlp.fc2");
  std::map<std::string, Tensor> of_first;
  for (const auto& [name, tensor] : tensors) {
    std::string own = name;
    if (own.starts_with("blocks.")) {
      replace(own, ".norm1", ".attns.0.norm");
      replace(own, ".norm2", ".ffns.0.norm");
      replace(own, "mlp", "ffns.0.mlp");
      if (own.find("attns") == std::string::npos) replace(own, "attn", "attns.0.attn");
    }
    of_first.emplace(own, tensor);
  }
  for (auto& [name, tensor] : side_by_side)
    if (const auto found = of_first.find(name); found != of_first.end()) tensor = found->second;
  EXPECT_LE(answer_error(answer_of(own_checkpoint(branches, side_by_side)), answer), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(All, AttentionInBlockForms,
                         ::testing::Range(size_t{0}, forms_of_attention().size()),
                         [](const auto& each) { return forms_of_attention().at(each.param).name; });

TEST(BlockFormConfigs, ThatContradictThemselvesAreRefused) {
  const auto refusal = [](const std::function<void(VitConfig&)>& set) {
    return testing::error_of([&] {
      VitConfig config = tiny_config();
      set(config);
      config.validate();
    });
  };
  const auto expect = [](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect(refusal([](auto& c) {
           set_parallel(c);
           c.block.branches = 2;
         }),
         "parallel_branches 2 goes with norm_placement pre");
  expect(refusal([](auto& c) { c.block.mlp.bias = c.block.mlp.output_bias = false; }),
         "mlp_output_bias");
  expect(refusal([](auto& c) {
           c.block.attention.differential = true;
           c.block.attention.head_dim = 5;
         }),
         "heads of an even size, not 5");
  const auto differential = [&](const std::function<void(VitConfig&)>& set) {
    return refusal([&](VitConfig& c) {
      c.block.attention.differential = true;
      set(c);
    });
  };
  expect(differential([](auto& c) { c.rotary.kind = Rotary::axial; }), "goes with no rotary");
  expect(differential([](auto& c) { c.relative.shared = RelativePosition::table; }),
         "goes with no relative_position");
  expect(differential([](auto& c) { c.block.attention.mixing = HeadMixingKind::reattention; }),
         "goes with no head_mixing");
  expect(refusal([](auto& c) {
           c.block.branches = 2;
           c.relative.per_block = RelativePosition::table;
         }),
         "shared_relative_position is of all");
  expect(refusal([](auto& c) { c.resnet_projection = true; }), "patch_embedding resnet");
  expect(refusal([](auto& c) {
           c.patch_embedding = PatchEmbedding::resnet;
           c.resnet_projection = true;
           c.resnet.standardised = true;
           c.resnet.deep_stem = true;
         }),
         "resnet_standardised goes with");
  expect(refusal([](auto& c) {
           c.patches.norms = c.patches.output_norm = true;
           c.patch_embedding = PatchEmbedding::linear;
         }),
         "without patch_norm");
}

}  // namespace
}  // namespace vitrail
