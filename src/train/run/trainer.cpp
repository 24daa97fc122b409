#include "train/run/trainer.h"

#include <array>

#include "core/advice.h"
#include "core/error.h"
#include "core/file_lock.h"
#include "formats/json.h"
#include "train/run/run.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

void prepare_folder(const TrainConfig& config, const RunOptions& options) {
  check(options.log_steps >= 1, "train", "log_steps is {}; it must be at least 1",
        options.log_steps);
  const std::optional<TrainConfig> run = config_of_run(options.out);
  if (run && options.resume) {
    TrainConfig comparable = *run;
    comparable.data = config.data;  // its pictures are compared later
    comparable.val = config.val;
    const std::string differences = describe_differences(comparable, config);
    check(differences.empty(), "resume", "{}: {}", options.out.string(), differences);
  }
  check(!run || options.resume, "train",
        "{} holds a run already: continue it with {}, or choose another {}", options.out.string(),
        said(Option::resume), said(Option::output));
}

}  // namespace

void synchronise(GradientExchange* exchange) {
  if (exchange == nullptr) return;
  std::array<double, 1> nothing{0};
  exchange->sum(nothing);
}

TrainResult train(const TrainConfig& config, const RunOptions& options) {
  config.validate();
  std::optional<FolderLock> lock;
  if (options.exchange == nullptr || options.exchange->rank() == 0) {
    check(!options.out.empty(), "train", "{} names the folder of the run", said(Option::output));
    if (options.lock == nullptr) lock.emplace(options.out, "train");
    prepare_folder(config, options);
  }
  synchronise(options.exchange);
  return Run(config, options).run();
}

std::optional<TrainConfig> config_of_run(const fs::path& out) {
  std::error_code ignored;
  if (!fs::exists(config_path(out), ignored)) return std::nullopt;
  return train_config_from_json(read_json(config_path(out)));
}

}  // namespace vitrail
