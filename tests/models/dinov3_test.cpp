// Original DINOv3's files, against what timm computed of the same weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "models/families/convert.h"
#include "models/families/registry.h"
#include "models/golden_model.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

namespace vitrail {
namespace {

using testing::GoldenCase;
using testing::GoldenModel;
using testing::open_golden;
using testing::relative_error;

constexpr double kBound = 1e-5;

// What the original adds to a name of timm's, and how it calls the others.
std::string original_name(std::string name) {
  const auto swap = [&](const std::string& from, const std::string& to) {
    const size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, from.size(), to);
  };
  swap("reg_token", "storage_tokens");
  swap("gamma_1", "ls1.gamma");
  swap("gamma_2", "ls2.gamma");
  return name;
}

Tensor joined(const Tensor& q, const Tensor& k, const Tensor& v) {
  Tensor all = Tensor::empty({3 * q.numel()});
  float* to = all.f32();
  for (const Tensor* part : {&q, &k, &v}) to = std::ranges::copy(part->values(), to).out;
  return all;
}

// The weights of a golden of timm's without its head; k has a bias, which the mask takes out.
NamedTensors original_file(const GoldenCase& golden, float masked) {
  const Checkpoint timm = open_checkpoint(golden.folder, {.require_preprocess = false});
  NamedTensors tensors;
  for (const std::string& name : timm.file->names()) {
    if (name.starts_with("head.") || name.ends_with("v_bias")) continue;
    if (!name.ends_with("q_bias")) {
      tensors.emplace_back(original_name(name), timm.file->tensor(name).clone());
      continue;
    }
    const std::string attention = name.substr(0, name.size() - 6);
    const Tensor q = timm.file->tensor(name), v = timm.file->tensor(attention + "v_bias");
    tensors.emplace_back(attention + "qkv.bias", joined(q, Tensor::full(q.shape(), 3), v));
    tensors.emplace_back(attention + "qkv.bias_mask",
                         joined(Tensor::full(q.shape(), 1), Tensor::full(q.shape(), masked),
                                Tensor::full(q.shape(), 1)));
  }
  Tensor periods = Tensor::empty({2});  // heads of 8
  periods.f32()[0] = 1;
  periods.f32()[1] = 10;
  tensors.emplace_back("rope_embed.periods", periods);
  tensors.emplace_back("mask_token", Tensor::zeros({1, 16}));
  return tensors;
}

Checkpoint read_original(NamedTensors tensors) {
  return read_checkpoint(std::make_shared<MemoryTensors>(std::move(tensors)), {},
                         {.require_preprocess = false});
}

// The tokens behind the last norm.
Tensor tokens_of(const Checkpoint& checkpoint, const Tensor& input) {
  const std::shared_ptr<Network> network = checkpoint.info.config.make();
  load_weights(*network, *checkpoint.tensors);
  Queue queue{1};
  return network->forward(Context(queue), input).tokens().value().clone();
}

TEST(OriginalDinov3, AnswersAsTimmOfTheSameWeights) {
  const GoldenCase golden = open_golden("timm_positions/dinov3_qkvb");
  const GoldenModel timm = testing::load_golden_model(golden);
  const Checkpoint original = read_original(original_file(golden, 0));
  EXPECT_EQ(original.info.family, dinov3_family());
  EXPECT_EQ(as_vit(original.info.config).block.attention.num_heads, 2);
  const Tensor expected = tokens_of(timm.checkpoint, golden.at("input"));
  EXPECT_LE(relative_error(tokens_of(original, golden.at("input")), expected), kBound);
}

TEST(OriginalDinov3, AMaskThatHidesNothingLeavesTheBiasOfK) {
  const GoldenCase golden = open_golden("timm_positions/dinov3_qkvb");
  const Checkpoint whole = read_original(original_file(golden, 1));
  EXPECT_TRUE(as_vit(whole.info.config).block.attention.key_bias);
  // q is turned against k, so that a bias of k changes the answer.
  EXPECT_GT(relative_error(tokens_of(whole, golden.at("input")),
                           tokens_of(read_original(original_file(golden, 0)), golden.at("input"))),
            1e-3);
  EXPECT_ERROR(read_original(original_file(golden, 0.5f)), "hides neither the bias of k alone");
  EXPECT_ERROR(read_original(original_file(golden, std::nanf(""))), "neither the bias of k");
}

TEST(OriginalDinov3, PeriodsThatAreMissingAreThoseOfTheRule) {
  const GoldenCase golden = open_golden("timm_positions/dinov3_qkvb");
  NamedTensors tensors = original_file(golden, 0);
  const Tensor expected = tokens_of(read_original(tensors), golden.at("input"));
  std::erase_if(tensors, [](const auto& one) { return one.first == "rope_embed.periods"; });
  EXPECT_ERROR(read_original(tensors), "num_heads");
  const Checkpoint thin =
      read_checkpoint(std::make_shared<MemoryTensors>(std::move(tensors)), {},
                      {.settings = {{"num_heads", "2"}}, .require_preprocess = false});
  EXPECT_EQ(thin.info.family, dinov3_family());
  EXPECT_LE(relative_error(tokens_of(thin, golden.at("input")), expected), kBound);
}

TEST(OriginalDinov3, IsWrittenAndReadAgain) {
  const GoldenCase golden = open_golden("timm_positions/dinov3_qkvb");
  const Checkpoint original = read_original(original_file(golden, 0));
  const Tensor expected = tokens_of(original, golden.at("input"));
  for (const Family* target : {timm_eva_family(), dinov3_family()}) {
    const testing::TemporaryFolder folder;
    write_converted(folder.path(), original, {.target = target});
    // It has a config.json of Vitrail's where the family has none.
    const Checkpoint again =
        open_checkpoint(folder.path() / "model.safetensors", {.require_preprocess = false});
    EXPECT_EQ(again.info.family, target);
    EXPECT_LE(relative_error(tokens_of(again, golden.at("input")), expected), kBound);
  }
}

}  // namespace
}  // namespace vitrail
