#include "train/run/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/architectures.h"
#include "models/vit.h"
#include "train/optimizer/optimizer.h"
#include "train/optimizer/schedule.h"
#include "train/run/recipes.h"

namespace vitrail {
namespace {

TEST(Schedule, WarmsUpThenFollowsACosine) {
  const Schedule schedule{
      .learning_rate = 1.0, .min_learning_rate = 0.2, .warmup_steps = 4, .total_steps = 12};
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.25);
  EXPECT_DOUBLE_EQ(schedule.at(3), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(4), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(8), 0.6);
  EXPECT_NEAR(schedule.at(11), 0.2 + 0.4 * (1 + std::cos(M_PI * 7 / 8)), 1e-15);
  EXPECT_DOUBLE_EQ(schedule.at(12), 0.2);
  EXPECT_DOUBLE_EQ(schedule.at(100), 0.2);
}

TEST(Optimizer, LeavesVectorsTokensAndPositionsUndecayed) {
  VitConfig config = as_vit(architecture_config("vitc_nano_patch4"));
  config.tokens.register_tokens = 2;
  const VisionTransformer model(config);
  for (const auto& parameter : model.parameters().all()) {
    const bool matrix = parameter->path().find("weight") != std::string::npos &&
                        parameter->path().find("norm") == std::string::npos;
    EXPECT_EQ(parameter->role().decays(), matrix) << parameter->path();
  }
}

TEST(Optimizer, ClipsToANormAsTorchDoes) {
  EXPECT_EQ(clip_scale(0.5, 1), 1);
  EXPECT_DOUBLE_EQ(clip_scale(4, 1), 1 / (4 + 1e-6));
  EXPECT_EQ(clip_scale(4, 0), 1);
}

TEST(TrainConfig, SurvivesJson) {
  TrainConfig config = recipe_for("scenes:count=4,val=2,test=2");
  set_field(config, "epochs", "3");
  set_field(config, "mean", "0.1,0.2,0.3");
  set_field(config, "random_resized_crop", "true");
  set_field(config, "mixup_alpha", "0.8");
  set_field(config, "erase_probability", "0.25");
  set_field(config, "optimizer", "muon");
  set_field(config, "depth", "2");
  set_field(config, "image_size", "32");
  EXPECT_EQ(config.epochs, 3);
  EXPECT_EQ(config.mean, (std::vector<double>{0.1, 0.2, 0.3}));
  EXPECT_TRUE(config.augment.random_resized_crop);
  EXPECT_EQ(config.mix.mixup_alpha, 0.8);
  EXPECT_EQ(config.augment.erase_probability, 0.25);
  EXPECT_EQ(as_vit(config.model).depth, 2);
  EXPECT_EQ(as_vit(config.model).image_width, 32);
  EXPECT_EQ(train_config_from_json(to_json(config)), config);
  EXPECT_EQ(describe_differences(config, config), "");
  config.precision = "int8";
  EXPECT_THROW(config.validate(), Error);
}

TEST(TrainConfig, RefusesWhatCannotBe) {
  TrainConfig config = recipe_for("scenes:count=4,val=2,test=2");
  EXPECT_THROW(set_field(config, "epochs", "many"), Error);
  EXPECT_THROW(set_field(config, "epochs", "2.5"), Error);
  EXPECT_THROW(set_field(config, "decay_all", "perhaps"), Error);
  EXPECT_THROW(set_field(config, "no_such_field", "1"), Error);
  EXPECT_THROW(recipe_for("scenes", "no_such_architecture"), Error);
  EXPECT_THROW(recipe_for("no_such_set"), Error);
  const auto refused = [&](auto change) {
    TrainConfig broken = config;
    change(broken);
    EXPECT_THROW(broken.validate(), Error);
  };
  refused([](TrainConfig& c) { c.epochs = 0; });
  refused([](TrainConfig& c) { c.batch_size = 0; });
  refused([](TrainConfig& c) { c.learning_rate = -1; });
  refused([](TrainConfig& c) { c.learning_rate = std::nan(""); });
  refused([](TrainConfig& c) { c.label_smoothing = 1; });
  refused([](TrainConfig& c) { c.std = {0.0}; });
  refused([](TrainConfig& c) { c.mean = {0.1, 0.2}; });
  refused([](TrainConfig& c) { c.augment.flip_probability = 2; });
  refused([](TrainConfig& c) { as_vit(c.model).num_classes = 0; });
  refused([](TrainConfig& c) { c.optimizer = "lion"; });
  refused([](TrainConfig& c) { c.schedule = "stairs"; });
  refused([](TrainConfig& c) { c.loss = "hinge"; });
  refused([](TrainConfig& c) { c.accumulate = 5; });
  refused([](TrainConfig& c) { c.ema_decay = 1; });
  refused([](TrainConfig& c) { c.layer_decay = 1.5; });
  refused([](TrainConfig& c) { c.cooldown_epochs = 1000; });
  refused([](TrainConfig& c) { c.mix.mixup_alpha = -1; });
  nlohmann::json json = to_json(config);
  json["speed"] = 1;
  EXPECT_THROW(train_config_from_json(json), Error);
}

TEST(Architectures, AreKnownByName) {
  for (const CompactArchitecture& row : compact_architectures()) {
    const VitConfig config = as_vit(architecture_config(std::string(row.name)));
    EXPECT_NO_THROW(config.validate()) << row.name;
    EXPECT_EQ(config.architecture, row.name);
  }
  for (const ResidualArchitecture& row : residual_architectures()) {
    const VitConfig config = as_vit(architecture_config(std::string(row.name)));
    EXPECT_NO_THROW(config.validate()) << row.name;
    EXPECT_EQ(config.architecture, row.name);
  }
  EXPECT_EQ(as_vit(architecture_config("vit_base_patch16_224")).embed_dim, 768);
  // As the authors' table has it for 32 x 32 pictures: 0.28 million parameters.
  const VisionTransformer model(as_vit(architecture_config("cct_2_3x2")));
  EXPECT_NEAR(static_cast<double>(model.parameters().num_elements()), 0.28e6, 0.01e6);
}

}  // namespace
}  // namespace vitrail
