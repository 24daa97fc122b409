// A run keeps how it divided its pictures; of one that an older version wrote it is found again.
#include "train/run/run_split.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "core/rng.h"
#include "data/held_out.h"
#include "image/codec/codec.h"
#include "support/errors.h"
#include "train/run_helpers.h"

namespace vitrail::testing {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> ids_of(const Dataset& set) {
  std::vector<std::string> ids;
  for (int64_t i = 0; i < set.size(); ++i) ids.push_back(set.id(i));
  return ids;
}

class RunSplit : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(pictures_);
    for (int i = 0; i < 60; ++i) {
      Image image(16, 16, 3);
      for (size_t j = 0; j < image.pixels.size(); ++j)
        image.pixels[j] = static_cast<uint8_t>(j * (i + 1) % 251);
      write_png(pictures_ / fmt::format("{}_{}.png", i % 2 == 0 ? "a" : "b", i), image);
    }
    config_ = tiny_config();
    config_.data = "flat:" + pictures_.string();
    config_.val_fraction = 0.3;
    as_vit(config_.model).num_classes = 2;
    config_.epochs = 1;
    config_.seed = 5;
  }

  // As `train` held out before runs kept a record: each picture by itself.
  RunData divided_as_before(const TrainConfig& config) const {
    OpenOptions all = config.open_options();
    all.val_fraction = 0;
    const std::shared_ptr<const Dataset> whole = open_dataset(config.data, Split::train, all);
    std::vector<bool> out;
    for (int64_t i = 0; i < whole->size(); ++i)
      out.push_back(philox(hash_path(whole->id(i)), static_cast<uint64_t>(config.seed),
                           hash_path("held out"))[0] *
                        0x1p-32 <
                    config.val_fraction);
    HeldOut parts = divided(whole, out);
    RunData data;
    data.train = std::move(parts.train);
    data.judge = std::move(parts.validation);
    data.judged_on = "val";
    data.split_is_kept = true;  // it had no such file
    return data;
  }

  fs::path pictures_ = fresh_folder("pictures"), out_ = fresh_folder("run");
  TrainConfig config_;
};

TEST_F(RunSplit, IsKeptAndFollowed) {
  train(config_, quiet_options(out_));
  const auto record = read_split_record(out_);
  ASSERT_TRUE(record.has_value());
  EXPECT_TRUE(record->held_out);
  EXPECT_EQ(record->seed, 5u);
  const RunData data = reopen_run_data(out_, config_);
  EXPECT_EQ(ids_of(*data.judge), ids_of(*open_run_data(config_).judge));
  EXPECT_EQ(data.judge->size(), 18);  // 0.3 of each class of 30
  EXPECT_NO_THROW(check_contents(*record, data, {.threads = 1}));
  // The record counts, not the rule.
  SplitRecord other = *record;
  std::swap(other.pictures.front().part, other.pictures.back().part);
  write_split_record(out_, other);
  EXPECT_NE(ids_of(*reopen_run_data(out_, config_).judge), ids_of(*data.judge));
}

TEST_F(RunSplit, AnOlderRunIsDividedAsItWas) {
  RunOptions options = quiet_options(out_);
  std::vector<std::string> held;
  options.open_data = [&](const TrainConfig& config) {
    RunData data = divided_as_before(config);
    held = ids_of(*data.judge);
    return data;
  };
  train(config_, options);
  EXPECT_FALSE(read_split_record(out_).has_value());
  EXPECT_NE(held, ids_of(*open_run_data(config_).judge));
  EXPECT_EQ(ids_of(*reopen_run_data(out_, config_).judge), held);
  // It goes on, and has a record from there on.
  options = quiet_options(out_);
  options.resume = true;
  std::string said;
  options.on_message = [&](const std::string& line) { said += line + "\n"; };
  train(config_, options);
  EXPECT_NE(said.find("keeps one from here on"), std::string::npos) << said;
  EXPECT_EQ(ids_of(*reopen_run_data(out_, config_).judge), held);
  // Where no rule gives the pictures nothing is guessed.
  fs::remove(out_ / kSplitFile);
  fs::rename(pictures_ / "a_0.png", pictures_ / "a_000.png");
  EXPECT_NE(error_of([&] { reopen_run_data(out_, config_); }).find("keeps no list"),
            std::string::npos);
}

TEST_F(RunSplit, AChangedPictureIsNamed) {
  train(config_, quiet_options(out_));
  write_png(pictures_ / "b_7.png", Image(16, 16, 3));
  RunOptions options = quiet_options(out_);
  options.resume = true;
  EXPECT_NE(error_of([&] { train(config_, options); }).find("1 has another content ('b_7.png')"),
            std::string::npos);
  fs::remove(pictures_ / "b_7.png");
  EXPECT_NE(error_of([&] { train(config_, options); }).find("1 is gone ('b_7.png')"),
            std::string::npos);
}

}  // namespace
}  // namespace vitrail::testing
