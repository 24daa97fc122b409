// A run's folder in the hands of others: two processes in it, files that are damaged, of another
// kind, or made to say what no run can have come to.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "core/file_lock.h"
#include "core/log.h"
#include "core/rng.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "support/errors.h"
#include "train/judge/metrics.h"
#include "train/run/checkpoint.h"
#include "train/run/run_identity.h"
#include "train/run_helpers.h"

namespace vitrail::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct RunWarnings {
  RunWarnings() {
    set_log_handler([this](LogLevel, const std::string& message) { text += message + "\n"; });
  }
  ~RunWarnings() {
    set_log_handler([](LogLevel, const std::string&) {});
  }
  bool say(const std::string& part) const { return text.find(part) != std::string::npos; }
  std::string text;
};

RunOptions options_of(const fs::path& out, bool resume) {
  RunOptions options = quiet_options(out);
  options.resume = resume;
  return options;
}

fs::path checkpoint_of_step(const fs::path& out, int64_t step) {
  return CheckpointFolder(out / "checkpoints").path_of(step);
}

// Stopped at step 30 of 36, with checkpoints at 24 and 30.
fs::path stopped_run(const std::string& name = "run") {
  const fs::path out = fresh_folder(name);
  RunOptions options = options_of(out, false);
  int steps = 0;
  options.stop = [&] { return ++steps == 30; };
  train(tiny_config(), options);
  return out;
}

std::string model_without_stop() {
  const fs::path out = fresh_folder("undisturbed");
  train(tiny_config(), options_of(out, false));
  return bytes_of(out / "model.safetensors");
}

// The checkpoint with another description, and a checksum that is right.
void rewrite(const fs::path& path, const std::function<void(json&)>& change) {
  const auto file = SafetensorsFile::open(path);
  json description = json::parse(file->metadata().at("vitrail"));
  change(description);
  const std::string text = description.dump();
  std::string summed = text;
  NamedTensors tensors;
  for (const std::string& name : file->names()) {
    const Tensor tensor = file->tensor(name);
    summed += fmt::format("\n{} {:016x}", name,
                          hash_path({reinterpret_cast<const char*>(tensor.raw()), tensor.bytes()}));
    tensors.emplace_back(name, tensor);
  }
  write_safetensors(path, tensors,
                    {{"checksum", fmt::format("{:016x}", hash_path(summed))}, {"vitrail", text}});
}

TEST(RunFolder, AnotherProcessIsToldWhoHoldsIt) {
  const fs::path out = fresh_folder("run");
  int ready[2], leave[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(leave), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock lock(out, "train");
    char byte = 1;
    if (::write(ready[1], &byte, 1) != 1 || ::read(leave[0], &byte, 1) != 1) ::_exit(2);
    ::_exit(0);  // without destructors, as a process that is killed
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const std::string holder = fmt::format("is being written by train, process {} on ", child);
  EXPECT_ERROR(train(tiny_config(), options_of(out, false)), holder);
  EXPECT_ERROR(train(tiny_config(), options_of(out, false)), " since 2");
  EXPECT_ERROR(FolderLock(out, "quantize"), holder);
  // A run that holds the lock itself, or is told that its caller does, is not in its own way.
  ASSERT_EQ(::write(leave[1], &byte, 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  const FolderLock lock(out, "caller");
  EXPECT_ERROR(train(tiny_config(), options_of(out, false)), "caller, process");
  RunOptions options = options_of(out, false);
  options.lock = &lock;
  int steps = 0;
  options.stop = [&] { return ++steps == 1; };
  EXPECT_TRUE(train(tiny_config(), options).interrupted);
  EXPECT_TRUE(fs::exists(out / ".vitrail.lock"));
  for (const int end : {ready[0], ready[1], leave[0], leave[1]}) ::close(end);
}

TEST(RunFolder, NothingIsLeftOfALock) {
  const fs::path out = fresh_folder("run"), there = fresh_folder("there");
  { const FolderLock lock(out, "test"); }
  EXPECT_FALSE(fs::exists(out));  // it made the folder, and nothing came into it
  fs::create_directories(there);
  { const FolderLock lock(there, "test"); }
  EXPECT_TRUE(fs::is_empty(there));
  std::ofstream(out) << "a file";
  EXPECT_ERROR(FolderLock(out, "test"), "the folder cannot be made");
}

// Several processes take and leave it as fast as they can, one at a time.
TEST(RunFolder, OneHolderAtATime) {
  const fs::path out = fresh_folder("run");
  fs::create_directories(out);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    int failed = 0;
    for (int taken = 0; taken < 200;) {
      std::unique_ptr<FileLock> lock = FileLock::try_lock(out / "lock");
      if (lock == nullptr) continue;
      lock->remove_at_end();
      ++taken;
      const int only = ::open((out / "only").c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
      failed += only < 0;
      ::close(only);
      ::unlink((out / "only").c_str());
    }
    ::_exit(failed == 0 ? 0 : 1);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
}

// What another process is writing is not what a killed one left.
TEST(RunFolder, AFileThatIsBeingWrittenStays) {
  const fs::path out = fresh_folder("run");
  fs::create_directories(out);
  std::ofstream(out / "old.123.0.tmp") << "left by a killed process";
  AtomicFile file(out / "new");
  file.write("whole");
  remove_unfinished_files(out);
  EXPECT_FALSE(fs::exists(out / "old.123.0.tmp"));
  file.commit();
  EXPECT_EQ(bytes_of(out / "new"), "whole");
}

TEST(RunFolder, TheNewestMayBeOfAnotherKind) {
  const std::string expected = model_without_stop();
  const std::pair<const char*, std::function<void(const fs::path&)>> kinds[] = {
      {"is a directory", [](const fs::path& path) { fs::create_directories(path / "within"); }},
      {"is a pipe", [](const fs::path& path) { ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0); }},
      {"is a device", [](const fs::path& path) { fs::create_symlink("/dev/zero", path); }},
      {"no such file", [](const fs::path& path) { fs::create_symlink("nowhere", path); }},
  };
  for (const auto& [said, make] : kinds)
    for (const int64_t step : {30, 36}) {  // 36 is where the next one will be written
      SCOPED_TRACE(fmt::format("{} at {}", said, step));
      const fs::path out = stopped_run();
      fs::remove(checkpoint_of_step(out, step));
      make(checkpoint_of_step(out, step));
      const RunWarnings warnings;
      train(tiny_config(), options_of(out, true));
      EXPECT_TRUE(warnings.say(said)) << warnings.text;
      EXPECT_EQ(bytes_of(out / "model.safetensors"), expected);
    }
}

// The best one, beside a whole newest one: found at resumption, or when the run has ended.
TEST(RunFolder, ADamagedBestCheckpointIsReplacedAndSaid) {
  TrainConfig config = tiny_config();
  for (const bool at_end : {false, true}) {
    SCOPED_TRACE(at_end);
    const fs::path out = stopped_run();
    // As if step 12 had been the best by far.
    fs::copy_file(checkpoint_of_step(out, 24), checkpoint_of_step(out, 12),
                  fs::copy_options::overwrite_existing);
    for (const int64_t step : {24, 30})
      rewrite(checkpoint_of_step(out, step), [](json& description) {
        description["state"]["best_step"] = 12;
        description["state"]["best_accuracy"] = 1.0;
      });
    rewrite(checkpoint_of_step(out, 12),
            [](json& description) { description["state"]["step"] = 12; });
    const auto damage = [&] { fs::resize_file(checkpoint_of_step(out, 12), 1000); };
    if (!at_end) damage();
    RunWarnings warnings;
    RunOptions options = options_of(out, true);
    std::string said;
    options.on_message = [&](const std::string& line) { said += line + "\n"; };
    options.on_epoch = [&](const EpochReport&) {
      if (at_end) damage();
    };
    const TrainResult result = train(config, options);
    EXPECT_FALSE(result.interrupted);
    EXPECT_TRUE(result.validation.has_value());
    const std::string& where = at_end ? said : warnings.text;
    EXPECT_NE(where.find("the best checkpoint is damaged"), std::string::npos) << where;
    EXPECT_NE(where.find("step-000000012"), std::string::npos) << where;
    EXPECT_TRUE(fs::exists(out / "model.safetensors"));
  }
}

TEST(RunFolder, WhatNoRunCanHaveComeToIsRefused) {
  static constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const std::pair<const char*, std::function<void(json&)>> cases[] = {
      {"step is 9223372036854775807", [](json& d) { d["state"]["step"] = kMost; }},
      {"step is 29, outside 30 to 30", [](json& d) { d["state"]["step"] = 29; }},
      {"epoch is 9223372036854775807", [](json& d) { d["state"]["epoch"] = kMost; }},
      {"epoch is -1", [](json& d) { d["state"]["epoch"] = -1; }},
      {"epoch 4, batch 6, where a run has 3 epochs", [](json& d) { d["state"]["epoch"] = 4; }},
      {"batch is 9223372036854775807", [](json& d) { d["state"]["batch"] = kMost; }},
      {"batch 13, where a run has 3 epochs of 12", [](json& d) { d["state"]["batch"] = 13; }},
      {"pictures is 9223372036854775807",
       [](json& d) { d["state"]["since_epoch"]["pictures"] = kMost; }},
      {"correct is 9223372036854775807",
       [](json& d) { d["state"]["since_log"]["correct"] = kMost; }},
      {"loss is \"much\"", [](json& d) { d["state"]["since_log"]["loss"] = "much"; }},
      {"has no loss", [](json& d) { d["state"]["since_log"]["loss"] = nullptr; }},
      {"best_accuracy is 1e+308", [](json& d) { d["state"]["best_accuracy"] = 1e308; }},
      {"best_step is 31", [](json& d) { d["state"]["best_step"] = 31; }},
      {"best_step is -9223372036854775808",
       [](json& d) { d["state"]["best_step"] = std::numeric_limits<int64_t>::min(); }},
      {"unimproved is 9223372036854775807", [](json& d) { d["state"]["unimproved"] = kMost; }},
      {"not_finite is 9223372036854775807", [](json& d) { d["state"]["not_finite"] = kMost; }},
      {"seconds is 1e+308", [](json& d) { d["state"]["seconds"] = 1e308; }},
      {"optimizer_steps is 9223372036854775807", [](json& d) { d["optimizer_steps"] = kMost; }},
      {"optimizer_steps is 31", [](json& d) { d["optimizer_steps"] = 31; }},
      {"since_log", [](json& d) { d["state"].erase("since_log"); }},
      {"since_epoch", [](json& d) { d["state"]["since_epoch"] = 3; }},
      {"has no state", [](json& d) { d["state"] = json::array(); }},
      {"has no state",
       [](json& d) {
         d = {{"identity", d["identity"]}};
       }},
      {"has no identity", [](json& d) { d.erase("identity"); }},
      {"has no identity", [](json& d) { d["identity"] = 7; }},
      {"has no identity", [](json& d) { d = json::array(); }},
      {"is of another run", [](json& d) { d["identity"] = json::object(); }},
      {"is of another run", [](json& d) { d["identity"]["configuration"] = json::object(); }},
      {"is of another run", [](json& d) { d["identity"][""] = ""; }},
  };
  const fs::path out = stopped_run();
  const std::string whole = bytes_of(checkpoint_of_step(out, 30));
  const RunWarnings warnings;
  for (const auto& [said, change] : cases) {
    SCOPED_TRACE(said);
    std::ofstream(checkpoint_of_step(out, 30), std::ios::binary) << whole;
    rewrite(checkpoint_of_step(out, 30), change);
    const std::string message = error_of([&] { train(tiny_config(), options_of(out, true)); });
    EXPECT_NE(message.find(said), std::string::npos) << message;
    EXPECT_NE(message.find("step-000000030.safetensors"), std::string::npos) << message;
  }
  // Written anew without a change, it is still the run's.
  std::ofstream(checkpoint_of_step(out, 30), std::ios::binary) << whole;
  rewrite(checkpoint_of_step(out, 30), [](json&) {});
  train(tiny_config(), options_of(out, true));
  EXPECT_EQ(bytes_of(out / "model.safetensors"), model_without_stop());
}

// train.json and the lines that a run reads again may hold anything.
TEST(RunFolder, WhatOthersWroteInItsFilesIsRefusedOrPassedOver) {
  const fs::path out = stopped_run();
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  append_to_file(out / "metrics.jsonl",
                 deep + "\n7\n\"\xff\"\n{\"step\":\"30\",\"kind\":4}\n{\"step\":30,\"kind\":{}}\n" +
                     "{\"step\":18446744073709551615,\"kind\":\"step\"}\n{\"step\"");
  train(tiny_config(), options_of(out, true));
  EXPECT_EQ(bytes_of(out / "model.safetensors"), model_without_stop());
  for (const char* text : {"", "{}x", "[]", "7", "{\"epochs\": \"\xff\"}", "{\"model\": []}",
                           "{\"epochs\": 1e999}", "{\"model\": {\"depth\": []}}"}) {
    SCOPED_TRACE(text);
    std::ofstream(out / "train.json", std::ios::trunc) << text;
    error_of([&] { train(tiny_config(), options_of(out, true)); });
  }
  std::ofstream(out / "train.json", std::ios::trunc) << deep;
  EXPECT_ERROR(train(tiny_config(), options_of(out, true)), "nested deeper");
  fs::remove(out / "train.json");
  ASSERT_EQ(::mkfifo((out / "train.json").c_str(), 0600), 0);
  EXPECT_ERROR(train(tiny_config(), options_of(out, true)), "is a pipe, not a file");
}

TEST(RunFolder, ItsLogsAreRegularFiles) {
  for (const char* name : {"metrics.jsonl", "train.log", "machine.jsonl"}) {
    const fs::path out = fresh_folder(name);
    fs::create_directories(out);
    ASSERT_EQ(::mkfifo((out / name).c_str(), 0600), 0);
    EXPECT_ERROR(train(tiny_config(), options_of(out, false)), name);
  }
}

// The last epoch's checkpoint is there when the model cannot be written.
TEST(RunFolder, TheCheckpointComesBeforeTheModel) {
  const fs::path out = fresh_folder("run");
  fs::create_directories(out / "model.safetensors" / "in the way");
  EXPECT_ERROR(train(tiny_config(), options_of(out, false)), "model.safetensors");
  EXPECT_EQ(CheckpointFolder(out / "checkpoints").steps(), std::vector<int64_t>{12});
  fs::remove_all(out / "model.safetensors");
  train(tiny_config(), options_of(out, true));
  EXPECT_EQ(bytes_of(out / "model.safetensors"), model_without_stop());
}

TEST(RunFolder, NamesThatNoFileCanKeepAreRefusedAtTheStart) {
  const fs::path out = fresh_folder("run");
  TrainConfig config = tiny_config();
  RunOptions options = options_of(out, false);
  int64_t steps = 0;
  options.on_step = [&](const TrainProgress&) { ++steps; };
  config.data = "folder:caf\xe9";
  EXPECT_ERROR(train(config, options), "data is 'folder:caf\\xe9', which is not UTF-8");
  config = tiny_config();
  config.augment.auto_augment = "\xff";
  EXPECT_ERROR(train(config, options), "not UTF-8");
  EXPECT_EQ(steps, 0);
}

}  // namespace
}  // namespace vitrail::testing
