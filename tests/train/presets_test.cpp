#include "train/run/presets.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "image/codec/codec.h"
#include "support/temporary_folder.h"
#include "train/run/recipes.h"

namespace vitrail {
namespace {

TEST(Presets, EachMakesAValidConfiguration) {
  EXPECT_GE(presets().size(), 18u);
  for (const auto& [name, preset] : presets()) {
    SCOPED_TRACE(name);
    EXPECT_FALSE(preset.description.empty());
    if (preset.data == "fashion-mnist" || preset.data == "mnist") continue;  // one channel
    TrainConfig config = recipe_for("scenes:count=4,val=2,test=2", {"", name});
    EXPECT_NO_THROW(config.validate());
    if (!preset.architecture.empty()) {
      EXPECT_EQ(as_vit(config.model).architecture, preset.architecture);
    }
    EXPECT_EQ(train_config_from_json(to_json(config)), config);
  }
}

TEST(Presets, LaterSettingsWinOverTheirBase) {
  const Preset& small = preset_by_name("cct_2_3x2");
  EXPECT_EQ(small.architecture, "cct_2_3x2");
  TrainConfig config;
  apply_settings(config, small);
  EXPECT_EQ(config.learning_rate, 5.5e-4);
  EXPECT_EQ(config.weight_decay, 0.06);  // of "compact"
  EXPECT_EQ(config.mix.cutmix_alpha, 1);
  EXPECT_EQ(config.augment.auto_augment, "rand-m9-mstd0.5-inc1");
}

TEST(Presets, KnowTheirDataSets) {
  EXPECT_EQ(preset_for_data("cifar10:somewhere").name, "cifar10");
  EXPECT_EQ(preset_for_data("fashion-mnist:somewhere").name, "fashion-mnist");
  EXPECT_EQ(preset_for_data("folder:somewhere").name, "photographs");
  EXPECT_EQ(preset_for_data("scenes:count=4").name, "scenes");  // not scenes_dino or scenes_mae
}

TEST(Presets, ChooseAMethod) {
  EXPECT_EQ(recipe_for("scenes:count=4", RecipeChoice{"", "scenes_dino"}).method, "dino");
  EXPECT_EQ(recipe_for("scenes:count=4", RecipeChoice{"", "scenes_mae"}).method, "mae");
}

// Of the set's own recipe a named one keeps what the pictures are, not how they were changed.
TEST(Presets, ANamedOneTakesThePlaceOfTheSetsOwn) {
  const testing::TemporaryFolder folder;
  for (const char* name : {"ant", "bee"}) {
    std::filesystem::create_directories(folder / name);
    write_png(folder / (name + std::string("/0.png")), Image(8, 8, 3));
  }
  const std::string data = "folder:" + folder.path().string();
  const TrainConfig own = recipe_for(data);
  EXPECT_TRUE(own.augment.random_resized_crop);
  const TrainConfig config = recipe_for(data, RecipeChoice{"", "cifar10_distilled"});
  EXPECT_FALSE(config.augment.random_resized_crop);
  EXPECT_EQ(config.augment.crop_padding, 4);
  EXPECT_EQ(config.mean, (std::vector<double>{0.4914, 0.4822, 0.4465}));
  const TrainConfig deit = recipe_for(data, RecipeChoice{"", "deit_tiny"});
  EXPECT_EQ(deit.mean, own.mean);
}

TEST(Presets, RefuseWhatTheyCannotRead) {
  EXPECT_THROW(preset_by_name("no_such_preset"), Error);
  EXPECT_THROW(parse_preset("x", "[]"), Error);
  EXPECT_THROW(parse_preset("x", R"({"settings": {}})"), Error);  // no description
  EXPECT_THROW(parse_preset("x", R"({"description": "d", "speed": 1})"), Error);
  EXPECT_THROW(parse_preset("x", R"({"description": "d", "extends": "no_such_preset"})"), Error);
  EXPECT_THROW(parse_preset("x", R"({"description": "d", "settings": 3})"), Error);
  TrainConfig config;
  EXPECT_THROW(
      apply_settings(config, parse_preset("x", R"({"description": "d", "settings": {"a": 1}})")),
      Error);
}

}  // namespace
}  // namespace vitrail
