// Runs of masked autoencoding and of DINO: what they write, how they resume, and that they learn.
#include <gtest/gtest.h>

#include "core/error.h"
#include "formats/safetensors.h"
#include "image/codec/codec.h"
#include "infer/session.h"
#include "models/families/checkpoint.h"
#include "models/mae.h"
#include "models/vit.h"
#include "tasks/pointing_game.h"
#include "train/methods/make_method.h"
#include "train/run_helpers.h"

namespace vitrail {
namespace {

using testing::bytes_of;
using testing::fresh_folder;
using testing::quiet_options;
using testing::tiny_config;

TrainConfig tiny_method(const std::string& method) {
  TrainConfig config = tiny_config();
  as_vit(config.model).patches.patch_height = as_vit(config.model).patches.patch_width = 4;
  config.method = method;
  config.learning.decoder_embed_dim = 12;
  config.learning.decoder_depth = 1;
  config.learning.decoder_num_heads = 2;
  config.learning.local_crops = 2;
  config.learning.local_size = 8;
  config.learning.dino_hidden = 16;
  config.learning.dino_bottleneck = 8;
  config.learning.dino_outputs = 32;
  config.learning.final_weight_decay = 0.2;
  config.epochs = 2;
  return config;
}

class SelfSupervised : public ::testing::TestWithParam<const char*> {};

TEST_P(SelfSupervised, ResumesBitForBitWithAnyThreads) {
  const TrainConfig config = tiny_method(GetParam());
  const auto whole = fresh_folder("whole"), parts = fresh_folder("parts");
  train(config, quiet_options(whole));
  RunOptions options = quiet_options(parts);
  options.threads = 2;
  options.workers = 3;
  int steps = 0;
  options.stop = [&] { return ++steps == 7; };
  EXPECT_TRUE(train(config, options).interrupted);
  options.stop = nullptr;
  options.resume = true;
  EXPECT_FALSE(train(config, options).interrupted);
  EXPECT_EQ(bytes_of(whole / "model.safetensors"), bytes_of(parts / "model.safetensors"));
}

TEST_P(SelfSupervised, WhatTheRunWritesIsAModelWithoutAHead) {
  const TrainConfig config = tiny_method(GetParam());
  const auto out = fresh_folder("run");
  const TrainResult result = train(config, quiet_options(out));
  EXPECT_EQ(result.validation->pictures, 16);
  const auto model = load_model(out.string());
  EXPECT_EQ(as_vit(model->info.config).num_classes, 0);
  Session session(model, {.threads = 1});
  const Image picture = render_scene_image({.size = 16}, 3);
  EXPECT_EQ(session.run(session.prepare(std::span(&picture, 1)).images).pooled.shape(),
            Shape({1, 16}));
}

INSTANTIATE_TEST_SUITE_P(Methods, SelfSupervised, ::testing::Values("mae", "dino"));

TEST(Mae, ReconstructionIsAPictureOfThreeRows) {
  const auto out = fresh_folder("run");
  train(tiny_method("mae"), quiet_options(out));
  const Image sheet = load_picture(out / "reconstruction.png");
  EXPECT_EQ(sheet.width, 8 * 18 - 2);
  EXPECT_EQ(sheet.height, 3 * 18 - 2);
}

TEST(Mae, TheCheckpointKeepsTheDecoderUnderTheAuthorsNames) {
  const auto out = fresh_folder("run");
  train(tiny_method("mae"), quiet_options(out));
  std::filesystem::path newest;
  for (const auto& entry : std::filesystem::directory_iterator(out / "checkpoints"))
    newest = std::max(newest, entry.path());
  const auto file = SafetensorsFile::open(newest);
  for (const char* name : {"mask_token", "decoder_embed.weight", "decoder_pos_embed",
                           "decoder_blocks.0.attn.qkv.weight", "decoder_norm.bias",
                           "decoder_pred.weight", "blocks.1.mlp.fc2.weight", "cls_token"})
    EXPECT_TRUE(file->contains(std::string("model.") + name)) << name;
  EXPECT_FALSE(load_model(out.string())->network->parameters().find("mask_token"));
}

// Patches are normalised, so painting each in its mean costs 1, and what has learned nothing stays
// there; this run of two seconds ends at 0.68.
TEST(Mae, LearnsToPaint) {
  TrainConfig config = tiny_method("mae");
  config.data = "scenes:size=32,count=2000,val=16,test=16";
  as_vit(config.model).image_height = as_vit(config.model).image_width = 32;
  as_vit(config.model).patches.patch_height = as_vit(config.model).patches.patch_width = 8;
  as_vit(config.model).embed_dim = 32;
  as_vit(config.model).block.attention.num_heads = 4;
  as_vit(config.model).drop_path = as_vit(config.model).block.dropout =
      as_vit(config.model).block.attention.dropout = 0;
  config.augment = {};
  config.learning.decoder_embed_dim = 24;
  config.learning.final_weight_decay = -1;
  config.batch_size = 50;
  config.learning_rate = 2e-3;
  config.warmup_epochs = 1;
  config.epochs = 8;
  RunOptions options = quiet_options(fresh_folder("run"));
  double loss = 1;
  options.on_epoch = [&](const EpochReport& report) { loss = report.loss; };
  train(config, options);
  EXPECT_LT(loss, 0.75);
}

// A file as the authors publish it: the encoder is a timm ViT, the decoder is left out.
TEST(Mae, AnAuthorsCheckpointIsAModel) {
  VisionTransformer encoder(mae_encoder(as_vit(tiny_method("mae").model)));
  MaskedAutoencoder model(encoder,
                          {.decoder_embed_dim = 12, .decoder_depth = 1, .decoder_num_heads = 2});
  model.parameters().initialise(1);
  NamedTensors file;
  for (const auto& parameter : model.parameters().all())
    file.emplace_back(parameter->path(), parameter->value());
  const Checkpoint opened = read_checkpoint(std::make_shared<MemoryTensors>(file), {},
                                            {.settings = {{"num_heads", "2"},
                                                          {"activation", "gelu"},
                                                          {"layer_norm_epsilon", "1e-6"},
                                                          {"pooling", "mean"}},
                                             .require_preprocess = false});
  EXPECT_EQ(opened.info.family, family_from_name("timm"));
  EXPECT_EQ(as_vit(opened.info.config).depth, 2);
  EXPECT_EQ(as_vit(opened.info.config).num_classes, 0);
  EXPECT_EQ(opened.info.left_out.size(), 20u);
  EXPECT_TRUE(std::ranges::equal(opened.tensors->tensor("pos_embed").values(),
                                 encoder.parameters().at("pos_embed").value().values()));

  // And the whole of it is what masked autoencoding goes on from.
  VisionTransformer other(mae_encoder(as_vit(tiny_method("mae").model)));
  MaskedAutoencoder copy(other,
                         {.decoder_embed_dim = 12, .decoder_depth = 1, .decoder_num_heads = 2});
  load_mae(copy, MemoryTensors(file));
  for (const auto& [name, value] : file)
    EXPECT_TRUE(std::ranges::equal(copy.parameters().at(name).value().values(), value.values()));
  file.pop_back();
  EXPECT_THROW(load_mae(copy, MemoryTensors(file)), Error);
}

TEST(Mae, MasksDependOnThePictureAlone) {
  const PatchMask all = random_mask({7, 3}, {4, 9, 4}, 16, 4);
  const PatchMask one = random_mask({7, 3}, {9}, 16, 4);
  const auto row = [](const Tensor& rows, int64_t i) {
    const int64_t* first = rows.data<int64_t>() + i * rows.size(1);
    return std::vector<int64_t>(first, first + rows.size(1));
  };
  EXPECT_EQ(row(all.visible, 1), row(one.visible, 0));
  EXPECT_NE(row(all.visible, 0), row(all.visible, 2));  // the same picture again
  EXPECT_NE(row(all.visible, 0), row(random_mask({7, 4}, {4}, 16, 4).visible, 0));
  for (int64_t i = 0; i < 3; ++i) {
    std::vector<int64_t> both = row(all.visible, i);
    const std::vector<int64_t> hidden = row(all.hidden, i);
    both.insert(both.end(), hidden.begin(), hidden.end());
    std::ranges::sort(both);
    for (int64_t j = 0; j < 16; ++j) EXPECT_EQ(both[static_cast<size_t>(j)], j);
  }
}

TEST(Mae, WhatIsHiddenDoesNotReachTheEncoder) {
  Queue queue(1);
  VisionTransformer encoder(mae_encoder(as_vit(tiny_method("mae").model)));
  MaskedAutoencoder model(encoder,
                          {.decoder_embed_dim = 12, .decoder_depth = 1, .decoder_num_heads = 2});
  model.parameters().initialise(1);
  const PatchMask mask = random_mask({1, 1}, {0}, 16, 4);
  Tensor images = Tensor::full({1, 3, 16, 16}, 0.25f);
  const Tensor before = model.predict(Context(queue), images, mask).value();
  for (int64_t i = 0; i < mask.hidden.size(1); ++i) {
    const int64_t patch = mask.hidden.data<int64_t>()[i];
    images.f32()[(patch / 4 * 4 + 1) * 16 + patch % 4 * 4 + 2] = 9;
  }
  const Tensor after = model.predict(Context(queue), images, mask).value();
  EXPECT_TRUE(std::ranges::equal(before.values(), after.values()));
}

TEST(SelfSupervised, RefusesModelsItCannotTrain) {
  TrainConfig config = tiny_method("mae");
  as_vit(config.model).patch_embedding = PatchEmbedding::tokenizer;
  EXPECT_THROW(train(config, quiet_options(fresh_folder("none"))), Error);
  config = tiny_method("dino");
  as_vit(config.model).tokens.class_token = false;
  as_vit(config.model).position.prefix = 0;
  as_vit(config.model).head.pooling = Pooling::mean;
  EXPECT_THROW(train(config, quiet_options(fresh_folder("none"))), Error);
  config = tiny_method("mae");
  config.learning.mask_ratio = 0.99;  // of 16 patches
  EXPECT_THROW(train(config, quiet_options(fresh_folder("none"))), Error);
}

}  // namespace
}  // namespace vitrail
