// Checkpoints of a run: one safetensors file holds weights, their average, optimizer, what the
// method keeps, and position, written atomically and verified by a checksum when it is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "train/judge/tally.h"
#include "train/methods/method.h"
#include "train/optimizer/ema.h"
#include "train/run/learner.h"

namespace vitrail {

// Where a run stands.
struct TrainState {
  int64_t step = 0;   // steps done
  int64_t epoch = 0;  // of the next batch
  int64_t batch = 0;  // the next one within its epoch
  Tally since_epoch;  // began
  Tally since_log;    // the last line of metrics
  double best_accuracy = -1;
  int64_t best_step = -1;  // whose checkpoint is kept; -1: nothing was evaluated
  int64_t unimproved = 0;  // evaluations since the best one
  int64_t not_finite = 0;  // steps in a row that were skipped for that
  double seconds = 0;      // spent training
};

struct RunParts {
  Method& method;
  Learner& learner;
  Ema* ema;  // null: off
  // What a run must have in common with the checkpoint that it continues.
  nlohmann::json identity;
};

class CheckpointFolder {
 public:
  // Error: the folder cannot be made.
  explicit CheckpointFolder(std::filesystem::path folder);

  std::filesystem::path path_of(int64_t step) const;
  // How many bytes a checkpoint of these parts takes, nearly.
  static uint64_t bytes(const RunParts& parts);
  // Writes the checkpoint of state.step, then removes all but the last two and the best one.
  // Error: it cannot be written; those before are intact.
  void save(const RunParts& parts, const TrainState& state) const;

  // Continues from the newest checkpoint that is whole; a damaged one is named in a warning and the
  // one before it is taken. Nothing when there is none. A best one that is damaged is named, too,
  // and forgotten: best_step is -1. Error: all are damaged, the run that made it was another (the
  // message says what differs), or it says what no run can have come to.
  std::optional<TrainState> restore(const RunParts& parts) const;
  // The weights that were evaluated and exported at the step, into the method's model: the averaged
  // ones when they are kept. Error: damaged, or of another model.
  void load_weights_of(int64_t step, const RunParts& parts) const;

  // Why the checkpoint of the step cannot be used; empty: it is whole.
  std::string damage(int64_t step) const;

  // Steps that have a checkpoint, ascending.
  std::vector<int64_t> steps() const;

 private:
  std::filesystem::path folder_;
};

// Removes what a killed process was writing in a folder that is the run's own.
void remove_unfinished_files(const std::filesystem::path& folder);

}  // namespace vitrail
