// Runs that are killed at any moment and resumed end as if nothing had happened.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/log.h"
#include "core/rng.h"
#include "formats/safetensors.h"
#include "train/run_helpers.h"

namespace vitrail::testing {
namespace {

// The run in a process of its own; returns its wait status.
pid_t start(const TrainConfig& config, const RunOptions& options) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  int status = 1;
  try {
    train(config, options);
    status = 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "child: {}\n", error.what());
  }
  ::_exit(status);
}

int wait_for(pid_t child) {
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

bool was_killed(int status) {
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

// Everything of metrics.jsonl but the clock.
std::string metrics_of(const std::filesystem::path& out) {
  std::ifstream in(out / "metrics.jsonl");
  std::string text, line;
  while (std::getline(in, line)) {
    nlohmann::json entry = nlohmann::json::parse(line);
    entry.erase("seconds");
    entry.erase("pictures_per_second");
    text += entry.dump() + "\n";
  }
  return text;
}

// Weights, optimizer and metrics of the last checkpoint; its description holds the clock.
void expect_same_run(const std::filesystem::path& a, const std::filesystem::path& b) {
  EXPECT_EQ(bytes_of(a / "model.safetensors"), bytes_of(b / "model.safetensors"));
  EXPECT_EQ(metrics_of(a), metrics_of(b));
  const auto one = SafetensorsFile::open(a / "checkpoints/step-000000036.safetensors");
  const auto two = SafetensorsFile::open(b / "checkpoints/step-000000036.safetensors");
  ASSERT_EQ(one->names(), two->names());
  for (const std::string& name : one->names()) {
    const Tensor x = one->tensor(name), y = two->tensor(name);
    ASSERT_EQ(x.bytes(), y.bytes());
    EXPECT_EQ(std::memcmp(x.raw(), y.raw(), x.bytes()), 0) << name;
  }
}

TEST(Kill, AtChosenSteps) {
  const TrainConfig config = tiny_config();  // 12 steps an epoch, 36 in all
  const auto whole = fresh_folder("whole"), broken = fresh_folder("broken");
  ASSERT_EQ(wait_for(start(config, quiet_options(whole))), 0);

  // Before the first checkpoint, in the middle of an epoch, right after and right at a checkpoint,
  // at the end of an epoch and at the last step; with another number of threads each time.
  int round = 0;
  for (const int64_t moment : {2, 4, 5, 12, 13, 35, 36}) {
    RunOptions options = quiet_options(broken);
    options.resume = round > 0;
    options.threads = 1 + round % 2;
    options.workers = round % 3;
    options.checkpoint_steps = 4;
    options.on_step = [&](const TrainProgress& progress) {
      if (progress.step == moment) ::raise(SIGKILL);
    };
    ASSERT_TRUE(was_killed(wait_for(start(config, options)))) << "step " << moment;
    ++round;
  }
  RunOptions options = quiet_options(broken);
  options.resume = true;
  options.checkpoint_steps = 4;
  ASSERT_EQ(wait_for(start(config, options)), 0);
  expect_same_run(whole, broken);
}

TEST(Kill, AtRandomMoments) {
  using namespace std::chrono;
  const TrainConfig config = tiny_config();
  const auto whole = fresh_folder("whole"), broken = fresh_folder("broken");
  const auto began = steady_clock::now();
  ASSERT_EQ(wait_for(start(config, quiet_options(whole))), 0);
  const double seconds = duration<double>(steady_clock::now() - began).count();

  // Ten kills, then the rest of the run. A run whose killer is late waits for it at its third step,
  // so that on a busy machine, too, each kill leaves work to do.
  Rng rng(20261123, 1);
  constexpr int kKills = 10, kStepsBetween = 3;
  static_assert(kKills * kStepsBetween < 36);
  int kills = 0, status = -1;
  for (int round = 0; round <= kKills; ++round) {
    RunOptions options = quiet_options(broken);
    options.resume = std::filesystem::exists(broken);
    options.checkpoint_steps = 1;  // most of the time is spent writing: that is where it hurts
    int steps = 0;
    if (round < kKills)
      options.on_step = [&](const TrainProgress&) {
        if (++steps == kStepsBetween) ::sleep(1200);
      };
    const pid_t child = start(config, options);
    if (round < kKills) {
      std::this_thread::sleep_for(duration<double>(rng.uniform(0, 0.3 * seconds)));
      ::kill(child, SIGKILL);
    }
    status = wait_for(child);
    ASSERT_TRUE(status == 0 || was_killed(status));
    kills += was_killed(status);
  }
  ASSERT_EQ(status, 0);
  EXPECT_EQ(kills, kKills);
  expect_same_run(whole, broken);
}

TEST(Kill, StopAsksForACheckpoint) {
  const TrainConfig config = tiny_config();
  const auto whole = fresh_folder("whole"), stopped = fresh_folder("stopped");
  train(config, quiet_options(whole));
  RunOptions options = quiet_options(stopped);
  int steps = 0;
  options.stop = [&] { return ++steps == 7; };
  const TrainResult first = train(config, options);
  EXPECT_TRUE(first.interrupted);
  EXPECT_EQ(first.step, 7);
  options = quiet_options(stopped);
  options.resume = true;
  EXPECT_FALSE(train(config, options).interrupted);
  expect_same_run(whole, stopped);
}

TEST(Run, ThreadsAndWorkersChangeNothing) {
  const TrainConfig config = tiny_config();
  const auto one = fresh_folder("one"), two = fresh_folder("two");
  train(config, quiet_options(one));
  RunOptions options = quiet_options(two);
  options.threads = 2;
  options.workers = 3;
  train(config, options);
  expect_same_run(one, two);
}

}  // namespace
}  // namespace vitrail::testing
