// What becomes of a run when its files are damaged, its disk is full or its command changes.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <limits>

#include "core/error.h"
#include "core/log.h"
#include "data/scenes.h"
#include "formats/safetensors.h"
#include "models/families/checkpoint.h"
#include "support/errors.h"
#include "train/run/checkpoint.h"
#include "train/run/run_identity.h"
#include "train/run_helpers.h"

namespace vitrail::testing {
namespace {

namespace fs = std::filesystem;

// Collects warnings while it lives.
class Warnings {
 public:
  Warnings() {
    set_log_handler([this](LogLevel level, const std::string& message) {
      if (level == LogLevel::warning) text += message + "\n";
    });
  }
  ~Warnings() {
    set_log_handler([](LogLevel, const std::string& message) {
      std::fprintf(stderr, "%s\n", message.c_str());
    });
  }
  std::string text;
};

// A run stopped in its third epoch, with checkpoints at steps 24 and 30.
fs::path stopped_run() {
  const fs::path out = fresh_folder("run");
  RunOptions options = quiet_options(out);
  int steps = 0;
  options.stop = [&] { return ++steps == 30; };
  train(tiny_config(), options);
  return out;
}

fs::path checkpoint_at(const fs::path& out, int64_t step) {
  return CheckpointFolder(out / "checkpoints").path_of(step);
}

void overwrite(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TrainResult resume(const fs::path& out, const TrainConfig& config = tiny_config()) {
  RunOptions options = quiet_options(out);
  options.resume = true;
  return train(config, options);
}

std::string undisturbed_model() {
  const fs::path out = fresh_folder("undisturbed");
  train(tiny_config(), quiet_options(out));
  return bytes_of(out / "model.safetensors");
}

TEST(Checkpoint, ABf16RunResumesToTheSameBits) {
  TrainConfig config = tiny_config();
  config.precision = "bf16";
  const fs::path whole = fresh_folder("whole"), halved = fresh_folder("halved");
  train(config, quiet_options(whole));
  RunOptions options = quiet_options(halved);
  int steps = 0;
  options.stop = [&] { return ++steps == 17; };
  train(config, options);
  EXPECT_NE(error_of([&] { resume(halved); }).find("precision is \"bf16\" in the run and \"f32\""),
            std::string::npos);
  resume(halved, config);
  const std::string model = bytes_of(whole / "model.safetensors");
  EXPECT_TRUE(bytes_of(halved / "model.safetensors") == model);
  EXPECT_TRUE(undisturbed_model() != model) << "bf16 changed nothing";
}

TEST(Checkpoint, DamagedFallsBackToTheOneBefore) {
  const std::string expected = undisturbed_model();
  const auto cases = std::vector<std::pair<std::string, std::function<void(std::string&)>>>{
      {"empty", [](std::string& bytes) { bytes.clear(); }},
      {"truncated", [](std::string& bytes) { bytes.resize(bytes.size() / 2); }},
      {"a bit of a weight", [](std::string& bytes) { bytes[bytes.size() - 100] ^= 4; }},
      {"a digit of the position",
       [](std::string& bytes) { ++bytes[bytes.find("\\\"step\\\":30") + 10]; }},
      {"header length", [](std::string& bytes) { bytes[7] = 127; }},
  };
  for (const auto& [name, damage] : cases) {
    SCOPED_TRACE(name);
    const fs::path out = stopped_run();
    std::string bytes = bytes_of(checkpoint_at(out, 30));
    damage(bytes);
    overwrite(checkpoint_at(out, 30), bytes);
    Warnings warnings;
    resume(out);
    EXPECT_NE(warnings.text.find("step-000000030.safetensors"), std::string::npos) << warnings.text;
    EXPECT_EQ(bytes_of(out / "model.safetensors"), expected);
  }
}

TEST(Checkpoint, AllDamagedIsRefused) {
  const fs::path out = stopped_run();
  for (const int64_t step : CheckpointFolder(out / "checkpoints").steps())
    overwrite(checkpoint_at(out, step), "no");
  const Warnings warnings;
  EXPECT_NE(error_of([&] { resume(out); }).find("no checkpoint in"), std::string::npos);
}

TEST(Checkpoint, KeepsTheLastTwoAndTheBest) {
  const fs::path out = fresh_folder("run");
  TrainConfig config = tiny_config();
  config.epochs = 6;
  const TrainResult result = train(config, quiet_options(out));
  const std::vector<int64_t> steps = CheckpointFolder(out / "checkpoints").steps();
  ASSERT_GE(steps.size(), 2u);
  EXPECT_LE(steps.size(), 3u);
  EXPECT_EQ(steps[steps.size() - 1], 72);
  EXPECT_EQ(steps[steps.size() - 2], 60);
  // The model is the one that did best on validation pictures.
  double best = -1;
  std::ifstream metrics(out / "metrics.jsonl");
  for (std::string line; std::getline(metrics, line);) {
    const auto entry = nlohmann::json::parse(line);
    if (entry["kind"] == "epoch") best = std::max(best, entry["val"]["accuracy"].get<double>());
  }
  ASSERT_TRUE(result.validation && result.test);
  EXPECT_EQ(result.validation->accuracy, best);
}

TEST(Checkpoint, FullDiskLeavesTheOlderOneIntact) {
  const fs::path out = stopped_run();
  const std::string before = bytes_of(checkpoint_at(out, 30));
  // Files larger than a checkpoint's half cannot be written, as on a disk that fills up.
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = before.size() / 2;
  RunOptions options = quiet_options(out);
  options.resume = true;
  options.on_step = [&](const TrainProgress&) { ::setrlimit(RLIMIT_FSIZE, &small); };
  const std::string message = error_of([&] { train(tiny_config(), options); });
  // Where it is known beforehand, no step is made.
  int64_t made = 0;
  options.on_step = [&](const TrainProgress&) { ++made; };
  const std::string refused = error_of([&] { train(tiny_config(), options); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_NE(refused.find("a checkpoint of this run takes"), std::string::npos) << refused;
  EXPECT_EQ(made, 0);
  ::signal(SIGXFSZ, handler);

  EXPECT_NE(message.find("cannot be written"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(bytes_of(checkpoint_at(out, 30)), before);
  for (const auto& entry : fs::recursive_directory_iterator(out))
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  resume(out);
  EXPECT_EQ(bytes_of(out / "model.safetensors"), undisturbed_model());
}

TEST(Run, RefusesWhatDiffers) {
  const fs::path out = stopped_run();
  TrainConfig config = tiny_config();
  config.batch_size = 4;
  as_vit(config.model).depth = 3;
  const std::string settings = error_of([&] { resume(out, config); });
  EXPECT_NE(settings.find("batch_size is 8 in the run and 4 now"), std::string::npos) << settings;
  EXPECT_NE(settings.find("depth is 2 in the run and 3 now"), std::string::npos) << settings;

  config = tiny_config();
  config.data = "scenes:size=16,count=88,val=16,test=16";
  const std::string pictures = error_of([&] { resume(out, config); });
  EXPECT_NE(pictures.find("8 are gone ('train/88', 'train/89', 'train/90', ...)"),
            std::string::npos)
      << pictures;
}

TEST(RunIdentity, HoldsWhatIsNotDefault) {
  TrainConfig config = tiny_config();
  const RunData data = open_run_data(config);
  const TrainConfig usual;
  EXPECT_FALSE(identity_of(config, data)["configuration"].contains("label_smoothing"));
  config.label_smoothing = usual.label_smoothing / 2;
  const nlohmann::json settings = identity_of(config, data)["configuration"];
  EXPECT_EQ(settings["label_smoothing"], config.label_smoothing);
  EXPECT_EQ(settings["model"]["depth"], 2);
  EXPECT_FALSE(settings["model"].contains("layer_scale"));
  config.accumulate = 2;  // how a step is computed, not which
  EXPECT_EQ(identity_of(config, data)["configuration"], settings);
}

TEST(Run, RefusesAFolderThatHoldsARun) {
  const fs::path out = stopped_run();
  const std::string message = error_of([&] { train(tiny_config(), quiet_options(out)); });
  EXPECT_NE(message.find("TrainOptions::resume"), std::string::npos) << message;
}

TEST(Run, UnwritableFolder) {
  const std::string message =
      error_of([&] { train(tiny_config(), quiet_options("/proc/no/such/place")); });
  EXPECT_NE(message.find("/proc/no/such/place"), std::string::npos) << message;
}

TEST(Run, StopsWhenTheLossIsNotFinite) {
  const fs::path out = fresh_folder("run");
  TrainConfig config = tiny_config();
  config.clip_norm = 0;
  config.learning_rate = 1000;
  config.warmup_epochs = 1;
  config.weight_decay = 1000;  // multiplies the weights by a million each step
  const std::string message = error_of([&] { train(config, quiet_options(out)); });
  EXPECT_NE(message.find("at step"), std::string::npos) << message;
  EXPECT_NE(message.find("learning_rate"), std::string::npos) << message;
}

TEST(Run, ModelFolderIsACheckpointOfOurFamily) {
  const fs::path out = fresh_folder("run");
  train(tiny_config(), quiet_options(out));
  const Checkpoint checkpoint = open_checkpoint(out);
  EXPECT_EQ(checkpoint.info.family, own_family());
  EXPECT_EQ(checkpoint.info.config, tiny_config().model);
  EXPECT_EQ(checkpoint.info.labels, scene_classes());
  EXPECT_EQ(checkpoint.info.preprocess_kind, PreprocessKind::vitrail);
  Preprocess expected = tiny_config().preprocess();
  EXPECT_EQ(from_json(checkpoint.info.preprocess), expected);
}

}  // namespace
}  // namespace vitrail::testing
