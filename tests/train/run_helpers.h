// A run of a second: tiny scenes, a tiny model with every source of randomness switched on.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/temporary_folder.h"
#include "train/run/recipes.h"
#include "train/run/trainer.h"

namespace vitrail::testing {

// A folder of the running test that is not there yet, and goes when the program ends.
inline std::filesystem::path fresh_folder(const std::string& name) {
  static const TemporaryFolder root("train");
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string place = fmt::format("{}.{}", test->test_suite_name(), test->name());
  for (char& c : place)
    if (c == '/') c = '_';
  const auto folder = root / place / name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder.parent_path());
  return folder;
}

inline TrainConfig tiny_config() {
  TrainConfig config;
  config.data = "scenes:size=16,count=96,val=16,test=16";
  as_vit(config.model).image_height = as_vit(config.model).image_width = 16;
  as_vit(config.model).patches.patch_height = as_vit(config.model).patches.patch_width = 8;
  as_vit(config.model).embed_dim = 16;
  as_vit(config.model).depth = 2;
  as_vit(config.model).block.attention.num_heads = 2;
  as_vit(config.model).num_classes = 10;
  as_vit(config.model).block.dropout = 0.1;
  as_vit(config.model).block.attention.dropout = 0.1;
  as_vit(config.model).drop_path = 0.1;
  config.epochs = 3;
  config.batch_size = 8;
  config.warmup_epochs = 0.5;
  config.augment.crop_padding = 2;
  config.augment.flip_probability = 0.5;
  return config;
}

inline RunOptions quiet_options(const std::filesystem::path& out) {
  RunOptions options;
  options.out = out;
  options.threads = 1;
  options.log_steps = 5;
  return options;
}

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace vitrail::testing
