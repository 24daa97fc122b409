#include "models/transfer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "models/family_fixtures.h"
#include "models/lora.h"
#include "models/model_folder.h"
#include "models/peft/apply_adapter.h"
#include "models/vit.h"
#include "support/compare.h"
#include "support/temporary_folder.h"

namespace vitrail {
namespace {

using testing::max_relative_error;
using testing::own_checkpoint;
using testing::random_weights;
using testing::tiny_config;

const std::vector<std::string> kClasses = {"ash", "birch", "cedar"};

struct Loaded {
  std::unique_ptr<VisionTransformer> model;
  TransferReport report;
};
Loaded load(const Checkpoint& checkpoint, const TransferOptions& options) {
  Loaded loaded{
      .model = std::make_unique<VisionTransformer>(as_vit(transfer_config(checkpoint, options))),
      .report = {}};
  loaded.report = load_for_transfer(*loaded.model, checkpoint, options);
  return loaded;
}

Tensor answer(const VisionTransformer& model) {
  const VitConfig& c = model.config();
  Tensor images = Tensor::empty({2, c.in_channels, c.image_height, c.image_width});
  Rng rng(7, 7);
  for (float& value : images.values()) value = static_cast<float>(rng.normal());
  Queue queue(2);
  return model.forward(Context(queue), Variable(images)).logits.value();
}

TEST(Transfer, NewClassesGetANewHeadAndTheRestIsLoaded) {
  const NamedTensors weights = random_weights(tiny_config());
  const Checkpoint checkpoint = own_checkpoint(tiny_config(), weights);
  const Loaded loaded = load(checkpoint, {.classes = kClasses, .seed = 3});
  EXPECT_EQ(loaded.model->parameters().at("head.weight").shape(), (Shape{3, 24}));
  for (const float value : loaded.model->parameters().at("head.weight").value().values())
    EXPECT_LE(std::abs(value), 0.04f);
  EXPECT_EQ(loaded.report.fresh, (std::vector<std::string>{"head.weight", "head.bias"}));
  EXPECT_EQ(loaded.report.left_out, (std::vector<std::string>{"head.bias", "head.weight"}));
  EXPECT_EQ(loaded.report.loaded, static_cast<int64_t>(weights.size()) - 2);
  EXPECT_TRUE(loaded.report.resized.empty());
  for (const auto& [name, tensor] : weights) {
    if (name.starts_with("head.")) continue;
    const Tensor& value = loaded.model->parameters().at(name).value();
    EXPECT_TRUE(std::ranges::equal(value.values(), tensor.values())) << name;
    EXPECT_NE(value.raw(), tensor.raw()) << name << " shares memory that may be a file's";
  }
}

TEST(Transfer, TheSameClassesKeepTheirHead) {
  const NamedTensors weights = random_weights(tiny_config());
  Checkpoint checkpoint = own_checkpoint(tiny_config(), weights);
  checkpoint.info.labels = {"a", "b", "c", "d", "e"};
  const Loaded loaded = load(checkpoint, {.classes = checkpoint.info.labels});
  EXPECT_TRUE(loaded.report.fresh.empty());
  EXPECT_NE(load(checkpoint, {.classes = {"b", "a", "c", "d", "e"}}).report.fresh.size(), 0u);
  EXPECT_THROW(load(checkpoint, {.classes = {"one"}}), Error);
}

// What forward() does to the table for another picture, loading does once: the answers are equal.
TEST(Transfer, PositionsAreResizedByTheFamilysRule) {
  for (const PositionResize rule : {PositionResize::bicubic_antialias, PositionResize::bicubic,
                                    PositionResize::bicubic_offset, PositionResize::bilinear}) {
    SCOPED_TRACE(static_cast<int>(rule));
    VitConfig config = tiny_config();
    config.position.resize = rule;
    const NamedTensors weights = random_weights(config);
    config.position.grid_height = config.position.grid_width = 4;
    config.image_height = 24;
    config.image_width = 32;
    Checkpoint checkpoint = own_checkpoint(config, weights);
    checkpoint.info.labels = {"a", "b", "c", "d", "e"};
    const Loaded loaded = load(checkpoint, {.classes = checkpoint.info.labels});
    EXPECT_EQ(loaded.model->parameters().at("pos_embed").shape(), (Shape{1, 49, 24}));
    EXPECT_EQ(loaded.report.resized, std::vector<std::string>{"pos_embed from 4x4 to 6x8"});
    EXPECT_NE(loaded.report.summary().find("resized: pos_embed from 4x4 to 6x8"),
              std::string::npos);
    VisionTransformer stretched(config);
    load_weights(stretched, *checkpoint.tensors);
    EXPECT_LT(max_relative_error(answer(*loaded.model).values(), answer(stretched).values()), 1e-6);
  }
}

TEST(Transfer, PartialUnfreezingTrainsTheEnd) {
  const Checkpoint checkpoint = own_checkpoint(tiny_config(), random_weights(tiny_config()));
  const Loaded loaded = load(checkpoint, {.classes = kClasses});
  freeze_all_but_last(*loaded.model, 1);
  const ParameterRegistry& parameters = loaded.model->parameters();
  for (const char* frozen :
       {"cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"})
    EXPECT_FALSE(parameters.at(frozen).trainable()) << frozen;
  for (const char* trained : {"blocks.1.attn.qkv.weight", "norm.weight", "head.bias"})
    EXPECT_TRUE(parameters.at(trained).trainable()) << trained;
}

class AdaptedModel : public ::testing::Test {
 protected:
  AdaptedModel()
      : weights_(random_weights(tiny_config())),
        checkpoint_(own_checkpoint(tiny_config(), weights_)),
        loaded_(load(checkpoint_, {.classes = kClasses})) {
    EXPECT_EQ(add_lora(*loaded_.model, {.rank = 3, .alpha = 5}, 1), 8);
    for (const auto& parameter : loaded_.model->parameters().all()) {
      if (!parameter->path().ends_with("lora_B.weight")) continue;
      Rng rng(9, hash_path(parameter->path()));
      for (float& value : parameter->value().values()) value = static_cast<float>(rng.normal());
      parameter->changed();
    }
  }
  VisionTransformer& model() { return *loaded_.model; }

  NamedTensors weights_;
  Checkpoint checkpoint_;
  Loaded loaded_;
  testing::TemporaryFolder folder_;
};

TEST_F(AdaptedModel, OnlyAdaptersAndHeadsAreTrained) {
  for (const auto& parameter : model().parameters().all())
    EXPECT_EQ(parameter->trainable(), parameter->path().find("lora_") != std::string::npos ||
                                          parameter->path().starts_with("head."))
        << parameter->path();
}

TEST_F(AdaptedModel, MergingKeepsTheAnswersAndTakesTheAdaptersOff) {
  const Tensor before = answer(model());
  VisionTransformer apart(model().config());
  load_weights(apart, MemoryTensors(merged_weights(model())));
  EXPECT_LT(max_relative_error(answer(apart).values(), before.values()), 1e-5);
  Queue queue(2);
  merge_lora(queue, model());
  EXPECT_LT(max_relative_error(answer(model()).values(), before.values()), 1e-5);
  EXPECT_EQ(model().parameters().all().size(), apart.parameters().all().size());
}

TEST_F(AdaptedModel, AFolderHoldsTheMergedWeights) {
  write_model_folder(folder_.path(), {.network = model(), .preprocess = {}, .labels = kClasses});
  const Checkpoint read =
      open_checkpoint(folder_.path(), {.settings = {}, .require_preprocess = false});
  VisionTransformer plain(as_vit(read.info.config));
  load_weights(plain, *read.tensors);
  EXPECT_LT(max_relative_error(answer(plain).values(), answer(model()).values()), 1e-5);
}

TEST_F(AdaptedModel, SavedApartItAppliesToItsBaseAlone) {
  write_adapter(folder_.path(), model(),
                {.config = {.rank = 3, .alpha = 5}, .base_model = "tiny", .labels = kClasses});
  Checkpoint base = own_checkpoint(tiny_config(), weights_);
  apply_adapter(base, folder_.path());
  EXPECT_EQ(base.info.labels, kClasses);
  VisionTransformer adapted(as_vit(base.info.config));
  load_weights(adapted, *base.tensors);
  EXPECT_LT(max_relative_error(answer(adapted).values(), answer(model()).values()), 1e-5);

  VitConfig wider = tiny_config();
  wider.block.mlp.hidden = 56;
  Checkpoint other = own_checkpoint(wider, random_weights(wider));
  EXPECT_THROW(apply_adapter(other, folder_.path()), Error);
}

}  // namespace
}  // namespace vitrail
