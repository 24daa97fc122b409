// RunRecord: what a run's folder says of the run, read as leniently as a report must be: a run may
// be young, interrupted, of a method without accuracy, or have met numbers that were not finite.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vitrail {

// Numbers by name; one that was not finite is NaN.
using Numbers = std::map<std::string, double>;

// A line of metrics.jsonl of kind "step" or "epoch".
struct RunLine {
  int64_t step = 0, epoch = 0;                 // steps done; the epoch from 0
  Numbers values;                              // "loss", "accuracy", "learning_rate", ...
  std::map<std::string, Numbers> evaluations;  // by set: "val", "test", ...
};

// A line of another kind: something happened.
struct RunEvent {
  int64_t step = 0;
  std::string kind, text;
  bool not_finite = false;  // its loss or gradients were not
};

enum class RunState : uint8_t {
  waiting,   // no step was recorded
  stopped,   // before its last epoch ended; or it is still going on
  finished,  // the last epoch ended, or the run ended early by itself
};

struct RunRecord {
  std::filesystem::path folder;
  nlohmann::json config;   // train.json; of a linear probe finetune.json
  bool finetuned = false;  // begun by vitrail finetune
  std::string resume;      // the command that continues it; empty: not known
  std::vector<RunLine> steps, epochs;
  std::vector<RunEvent> events;
  std::vector<nlohmann::json> processes;  // machine.jsonl
  std::vector<std::string> log;           // the last lines of train.log
  RunState state = RunState::waiting;
  bool diverged = false;  // the last step was not finite, and the run did not end well

  // A field of the configuration; "" or 0 where it is absent or of another type.
  std::string text(const char* field) const;
  double number(const char* field) const;

  int64_t epochs_planned() const;
  // Steps of an epoch as the lines show it; 0: not known yet.
  double steps_per_epoch = 0;
  int64_t last_step() const;
  double seconds() const;  // spent training
  // 0 where nothing is known of it.
  double median_speed() const;  // pictures a second
};

// Adds "pictures_per_second" where it is absent and follows from steps, batch size and clock.
// Error: the folder is no run's, or its configuration is damaged. Damaged lines of metrics are left
// out.
RunRecord read_run(const std::filesystem::path& folder);

}  // namespace vitrail
