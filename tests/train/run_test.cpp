// Whole runs: what survives an interruption, what ends one, what is exported.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "formats/safetensors.h"
#include "image/codec/codec.h"
#include "models/vit.h"
#include "train/methods/supervised.h"
#include "train/pair_exchange.h"
#include "train/run/checkpoint.h"
#include "train/run/run_log.h"
#include "train/run_helpers.h"

namespace vitrail::testing {
namespace {

namespace fs = std::filesystem;

// Every source of randomness and of state.
TrainConfig full_config(const std::string& optimizer) {
  TrainConfig config = tiny_config();
  config.optimizer = optimizer;
  config.accumulate = 2;
  config.ema_decay = 0.9;
  config.ema_warmup = true;
  config.augment.random_resized_crop = true;
  config.augment.repeats = 2;
  config.mix.mixup_alpha = 0.8;
  config.mix.cutmix_alpha = 1;
  config.layer_decay = 0.8;
  config.freeze = "cls_token";
  config.schedule = "one_cycle";
  config.nesterov = true;
  config.activation_checkpointing = true;
  return config;
}

std::vector<nlohmann::json> lines_of(const fs::path& out) {
  std::vector<nlohmann::json> lines;
  std::ifstream in(out / "metrics.jsonl");
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

void expect_same_end(const fs::path& a, const fs::path& b) {
  EXPECT_EQ(bytes_of(a / "model.safetensors"), bytes_of(b / "model.safetensors"));
  const int64_t last = CheckpointFolder(a / "checkpoints").steps().back();
  const auto one = SafetensorsFile::open(CheckpointFolder(a / "checkpoints").path_of(last));
  const auto two = SafetensorsFile::open(CheckpointFolder(b / "checkpoints").path_of(last));
  ASSERT_EQ(one->names(), two->names());
  for (const std::string& name : one->names()) {
    const Tensor x = one->tensor(name), y = two->tensor(name);
    ASSERT_EQ(x.bytes(), y.bytes()) << name;
    EXPECT_EQ(std::memcmp(x.raw(), y.raw(), x.bytes()), 0) << name;
  }
  auto lines = lines_of(a), other = lines_of(b);
  for (auto* list : {&lines, &other})
    for (auto& line : *list)
      for (const char* clock : {"seconds", "pictures_per_second"}) line.erase(clock);
  EXPECT_EQ(lines, other);
}

class Resume : public ::testing::TestWithParam<const char*> {};

TEST_P(Resume, IsBitExactWithEverythingOn) {
  const TrainConfig config = full_config(GetParam());
  const fs::path whole = fresh_folder("whole"), broken = fresh_folder("broken");
  train(config, quiet_options(whole));
  RunOptions options = quiet_options(broken);
  int round = 0;
  for (const int64_t moment : {3, 12, 13, 29}) {
    options.resume = round > 0;
    options.threads = 1 + round % 2;
    options.workers = round++ % 3;
    int64_t step = 0;
    options.on_step = [&](const TrainProgress& progress) { step = progress.step; };
    options.stop = [&] { return step == moment; };
    ASSERT_TRUE(train(config, options).interrupted);
  }
  options = quiet_options(broken);
  options.resume = true;
  ASSERT_FALSE(train(config, options).interrupted);
  expect_same_end(whole, broken);
}

INSTANTIATE_TEST_SUITE_P(Optimizers, Resume, ::testing::Values("adamw", "sgd", "muon"));

TEST(Run, ExportsTheAveragedWeights) {
  const fs::path out = fresh_folder("run");
  TrainConfig config = tiny_config();
  config.ema_decay = 0.9;
  train(config, quiet_options(out));
  const auto exported = SafetensorsFile::open(out / "model.safetensors");
  const Tensor model = exported->tensor("head.weight");
  const CheckpointFolder checkpoints(out / "checkpoints");
  bool averaged = false;
  for (const int64_t step : checkpoints.steps()) {
    const auto checkpoint = SafetensorsFile::open(checkpoints.path_of(step));
    const Tensor average = checkpoint->tensor("ema.head.weight");
    const Tensor plain = checkpoint->tensor("model.head.weight");
    averaged = averaged || std::memcmp(model.raw(), average.raw(), model.bytes()) == 0;
    EXPECT_NE(std::memcmp(model.raw(), plain.raw(), model.bytes()), 0) << step;
  }
  EXPECT_TRUE(averaged);
}

TEST(Run, FrozenParametersStay) {
  const fs::path out = fresh_folder("run");
  TrainConfig config = tiny_config();
  config.freeze = "blocks.0.*,pos_embed";
  VisionTransformer first(as_vit(config.model));
  first.parameters().initialise(static_cast<uint64_t>(config.seed));
  train(config, quiet_options(out));
  const auto exported = SafetensorsFile::open(out / "model.safetensors");
  for (const auto& parameter : first.parameters().all()) {
    const bool frozen =
        parameter->path() == "pos_embed" || parameter->path().starts_with("blocks.0.");
    const Tensor now = exported->tensor(parameter->path());
    EXPECT_EQ(std::memcmp(now.raw(), parameter->value().raw(), now.bytes()) == 0, frozen)
        << parameter->path();
  }
}

TEST(Run, EndsWhenPatienceDoes) {
  const fs::path out = fresh_folder("run");
  TrainConfig config = tiny_config();
  config.epochs = 50;
  config.learning_rate = config.min_learning_rate = 0;  // nothing gets better
  config.patience = 2;
  std::string log;
  RunOptions options = quiet_options(out);
  options.on_message = [&](const std::string& line) { log += line + "\n"; };
  const TrainResult result = train(config, options);
  EXPECT_TRUE(result.stopped_early);
  EXPECT_EQ(result.step, 3 * 12);
  EXPECT_NE(log.find("training ends early"), std::string::npos) << log;
  // A finished run stays so.
  options.resume = true;
  EXPECT_EQ(train(config, options).step, 3 * 12);

  // A set that has only test pictures beside those for training.
  const fs::path folder = fresh_folder("pictures");
  for (const char* place : {"train/a", "train/b", "test/a", "test/b"}) {
    fs::create_directories(folder / place);
    for (const char* name : {"1.png", "2.png", "3.png", "4.png", "5.png", "6.png"})
      write_png(folder / place / name, Image(16, 16, 3));
  }
  config.data = "folder:" + folder.string();
  as_vit(config.model).num_classes = 2;
  try {
    train(config, quiet_options(fresh_folder("other")));
    ADD_FAILURE() << "test pictures must not choose";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("patience"), std::string::npos) << error.what();
  }
}

// The supervised method with a picture whose loss is NaN.
class Poisoned : public SupervisedMethod {
 public:
  Poisoned(Network& model, int64_t picture) : SupervisedMethod(model, {}), picture_(picture) {}
  MethodLoss forward(Context& context, const Batch& batch, const StepNumbers& numbers) override {
    for (size_t i = 0; i < batch.indices.size(); ++i) {
      if (batch.indices[i] != picture_ && picture_ >= 0) continue;
      batch.images.rows(static_cast<int64_t>(i), static_cast<int64_t>(i) + 1).f32()[0] =
          std::numeric_limits<float>::quiet_NaN();
    }
    return SupervisedMethod::forward(context, batch, numbers);
  }

 private:
  int64_t picture_;  // -1: each
};

RunOptions poisoned_options(const fs::path& out, int64_t picture) {
  RunOptions options = quiet_options(out);
  options.make_method = [picture](const MethodSetup& setup) {
    return std::make_unique<Poisoned>(setup.model, picture);
  };
  return options;
}

TEST(Run, NamesAndSkipsTheBatchOfAPictureWithoutLoss) {
  const fs::path out = fresh_folder("run");
  std::string log;
  RunOptions options = poisoned_options(out, 41);
  options.on_message = [&](const std::string& line) { log += line + "\n"; };
  const TrainResult result = train(tiny_config(), options);
  EXPECT_EQ(result.step, 36);
  EXPECT_NE(log.find("is skipped: its loss nan is not finite; its pictures: "), std::string::npos)
      << log;
  int skipped = 0;
  for (const auto& line : lines_of(out)) {
    if (line["kind"] != "skipped") continue;
    ++skipped;
    EXPECT_EQ(line["reason"], "not finite");
    EXPECT_TRUE(line["loss"].is_null());
    EXPECT_EQ(line["pictures"].size(), 8u);
    EXPECT_TRUE(std::ranges::count(line["pictures"], nlohmann::json("train/41")) == 1) << line;
  }
  EXPECT_EQ(skipped, 3);  // once an epoch
  for (const auto& line : lines_of(out)) {
    if (line["kind"] == "epoch") {
      EXPECT_TRUE(line["loss"].is_number()) << line;
    }
  }
}

TEST(Run, AnIntervalWithoutALossHasNone) {
  const fs::path out = fresh_folder("run");
  TrainConfig config = tiny_config();
  config.skip_limit = 1000;
  train(config, poisoned_options(out, -1));
  int lines = 0;
  for (const auto& line : lines_of(out)) {
    if (line["kind"] != "step" && line["kind"] != "epoch") continue;
    ++lines;
    EXPECT_TRUE(line["loss"].is_null()) << line;
    EXPECT_TRUE(line["accuracy"].is_null()) << line;
    for (const NamedScalar& scalar : scalars_of(line))
      if (scalar.tag == "train/loss" || scalar.tag == "epoch/loss") {
        EXPECT_TRUE(std::isnan(scalar.value)) << line;
      }
  }
  EXPECT_EQ(lines, 36 / 5 + 3);
}

TEST(Run, PicturesOfOneClassAreRefusedWhereClassesAreLearned) {
  const fs::path folder = fresh_folder("pictures");
  fs::create_directories(folder);
  for (int i = 0; i < 24; ++i) write_png(folder / fmt::format("only_{}.png", i), Image(16, 16, 3));
  TrainConfig config = tiny_config();
  config.data = "flat:" + folder.string();
  as_vit(config.model).num_classes = 1;
  config.val_fraction = 0.4;
  config.epochs = 1;
  config.batch_size = 4;
  try {
    train(config, quiet_options(fresh_folder("supervised")));
    ADD_FAILURE() << "one class";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("pictures of one class, 'only'"), std::string::npos)
        << error.what();
  }
  as_vit(config.model).patches.patch_height = as_vit(config.model).patches.patch_width = 4;
  for (const char* method : {"mae", "dino"}) {
    SCOPED_TRACE(method);
    config.method = method;
    config.learning.decoder_embed_dim = 12;
    config.learning.decoder_depth = 1;
    config.learning.decoder_num_heads = 2;
    config.learning.local_crops = 2;
    config.learning.local_size = 8;
    config.learning.dino_hidden = 24;
    config.learning.dino_bottleneck = 8;
    config.learning.dino_outputs = 20;
    EXPECT_GT(train(config, quiet_options(fresh_folder(method))).step, 0);
  }
}

TEST(Run, SoManyPicturesMayBeBroken) {
  const fs::path folder = fresh_folder("pictures");
  fs::create_directories(folder);
  for (int i = 0; i < 40; ++i)
    write_png(folder / fmt::format("{}_{}.png", i % 2 == 0 ? "a" : "b", i), Image(16, 16, 3));
  for (const char* name : {"a_2.png", "b_3.png", "a_10.png"}) std::ofstream(folder / name) << "no";
  TrainConfig config = tiny_config();
  config.data = "flat:" + folder.string();
  config.val_fraction = 0.3;
  as_vit(config.model).num_classes = 2;
  config.epochs = 1;
  EXPECT_THROW(train(config, quiet_options(fresh_folder("strict"))), Error);
  RunOptions options = quiet_options(fresh_folder("lenient"));
  options.max_broken = 0.5;
  std::string log;
  options.on_message = [&](const std::string& line) { log += line + "\n"; };
  EXPECT_GT(train(config, options).step, 0);
  EXPECT_NE(log.find("cannot be read and is left out"), std::string::npos) << log;
}

TEST(Run, EndsAfterTooManyStepsWithoutLoss) {
  const fs::path out = fresh_folder("run");
  TrainConfig config = tiny_config();
  config.skip_limit = 4;
  RunOptions options = quiet_options(out);
  options.checkpoint_steps = 1;
  int64_t steps = 0;
  options.on_step = [&](const TrainProgress& progress) { steps = progress.step; };
  // From step 6 on the weights themselves are broken, as after an overflow.
  options.make_method = [&](const MethodSetup& setup) {
    class Breaking : public SupervisedMethod {
     public:
      using SupervisedMethod::SupervisedMethod;
      void after_update(Queue&, const StepNumbers& numbers) override {
        if (numbers.step != 5) return;
        Parameter& head = parameters().at("head.bias");
        head.value().f32()[0] = std::numeric_limits<float>::infinity();
        head.changed();
      }
    };
    return std::make_unique<Breaking>(setup.model, LossOptions{});
  };
  try {
    train(config, options);
    ADD_FAILURE() << "must end";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("5 steps in a row were not finite, up to that at step 11"),
              std::string::npos)
        << message;
    EXPECT_NE(message.find("step-00000000"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
  // None was made of the broken weights.
  EXPECT_EQ(CheckpointFolder(out / "checkpoints").steps().back(), 5);
}

TEST(Run, ObserversSeeWhatIsWritten) {
  struct Observer : RunObserver {
    void begin(const RunView& run, int64_t steps, int64_t epochs) override {
      EXPECT_EQ(steps, 0);
      EXPECT_EQ(epochs, 0);
      EXPECT_EQ(run.data.train->size(), 96);
    }
    void record(const nlohmann::json& line) override { lines.push_back(line); }
    void end(const RunView& run, const TrainResult& result) override {
      EXPECT_EQ(run.method.model().config(), tiny_config().model);
      ended = result.step;
    }
    std::vector<nlohmann::json> lines;
    int64_t ended = -1;
  } observer;
  const fs::path out = fresh_folder("run");
  RunOptions options = quiet_options(out);
  options.observers = {&observer};
  train(tiny_config(), options);
  EXPECT_EQ(observer.lines, lines_of(out));
  EXPECT_EQ(observer.ended, 36);
}

// Counts its updates in a tensor of its own, which decides nothing but must survive.
class Counting : public SupervisedMethod {
 public:
  explicit Counting(Network& model) : SupervisedMethod(model, {}) {}
  void after_update(Queue&, const StepNumbers& numbers) override {
    EXPECT_EQ(static_cast<float>(numbers.step), count_.f32()[0]);
    count_.f32()[0] += 1;
  }
  NamedTensors state() const override { return {{"count", count_}}; }
  void load_state(const TensorSource& tensors) override {
    count_ = tensors.tensor("count").clone();
  }

 private:
  Tensor count_ = Tensor::zeros({1});
};

TEST(Run, WhatAMethodKeepsSurvives) {
  const fs::path out = fresh_folder("run");
  RunOptions options = quiet_options(out);
  options.make_method = [](const MethodSetup& setup) {
    return std::make_unique<Counting>(setup.model);
  };
  int steps = 0;
  options.stop = [&] { return ++steps == 17; };
  train(tiny_config(), options);
  options.resume = true;
  options.stop = nullptr;
  train(tiny_config(), options);
  const auto checkpoint = SafetensorsFile::open(CheckpointFolder(out / "checkpoints").path_of(36));
  EXPECT_EQ(checkpoint->tensor("method.count").f32()[0], 36);
}

TEST(Run, TwoProcessesTrainWhatOneDoesInTwoParts) {
  TrainConfig config = full_config("adamw");
  const fs::path one = fresh_folder("one"), two = fresh_folder("two");
  train(config, quiet_options(one));
  config.accumulate = 1;
  PairExchange pair;
  RunOptions first = quiet_options(two), second = quiet_options(two);
  first.exchange = &pair.first;
  second.exchange = &pair.second;
  const auto train_both = [&] {
    TrainResult other;
    std::thread thread([&] { other = train(config, second); });
    const TrainResult result = train(config, first);
    thread.join();
    EXPECT_EQ(result.step, other.step);
    EXPECT_EQ(result.interrupted, other.interrupted);
    return result;
  };
  // One of them is asked to stop, and both do.
  int steps = 0;
  second.stop = [&] { return ++steps == 17; };
  EXPECT_TRUE(train_both().interrupted);
  first.resume = second.resume = true;
  second.stop = nullptr;
  EXPECT_FALSE(train_both().interrupted);
  EXPECT_EQ(bytes_of(one / "model.safetensors"), bytes_of(two / "model.safetensors"));
  const auto x = lines_of(one), y = lines_of(two);
  ASSERT_EQ(x.size(), y.size());
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(x[i]["kind"], y[i]["kind"]);
    if (x[i]["kind"] == "end") continue;
    EXPECT_EQ(x[i].at("loss"), y[i].at("loss"));
    if (x[i]["kind"] == "epoch") {
      EXPECT_EQ(x[i]["val"]["accuracy"], y[i]["val"]["accuracy"]);
      EXPECT_EQ(y[i]["val"]["pictures"], 16);
    }
  }
}

TEST(Run, GoesOnWithAnotherNumberOfProcesses) {
  TrainConfig config = tiny_config();
  const fs::path out = fresh_folder("run");
  PairExchange pair;
  RunOptions first = quiet_options(out), second = quiet_options(out);
  first.exchange = &pair.first;
  second.exchange = &pair.second;
  int steps = 0;
  second.stop = [&] { return ++steps == 17; };
  std::thread thread([&] { train(config, second); });
  train(config, first);
  thread.join();
  RunOptions alone = quiet_options(out);
  alone.resume = true;
  config.accumulate = 4;  // how a step is computed may change as well
  const TrainResult result = train(config, alone);
  EXPECT_EQ(result.step, 36);
}

TEST(Run, BatchesThatDoNotDivideAreRefused) {
  TrainConfig config = tiny_config();
  config.accumulate = 3;
  EXPECT_THROW(train(config, quiet_options(fresh_folder("a"))), Error);
  config.batch_size = 128;
  config.accumulate = 4;
  EXPECT_THROW(train(config, quiet_options(fresh_folder("b"))), Error);  // 96 pictures
}

// A run in parts takes the same number of steps and ends near the run of whole batches.
TEST(Run, AccumulatesTheSameSteps) {
  TrainConfig config = tiny_config();
  as_vit(config.model).block.dropout = as_vit(config.model).block.attention.dropout =
      as_vit(config.model).drop_path = 0;
  const fs::path whole = fresh_folder("whole"), parts = fresh_folder("parts");
  const TrainResult a = train(config, quiet_options(whole));
  config.accumulate = 4;
  const TrainResult b = train(config, quiet_options(parts));
  EXPECT_EQ(a.step, b.step);
  const auto x = lines_of(whole), y = lines_of(parts);
  ASSERT_EQ(x.size(), y.size());
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(x[i]["kind"], y[i]["kind"]);
    if (x[i]["kind"] == "end") continue;
    EXPECT_NEAR(x[i].at("loss").get<double>(), y[i].at("loss").get<double>(), 1e-4);
  }
}

}  // namespace
}  // namespace vitrail::testing
