// Checkpoints of a run: one safetensors file holds weights, optimizer and position, written
// atomically and verified by a checksum when it is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "models/vit.h"
#include "train/optimizer.h"

namespace vitrail {

// Sums over training pictures since some moment.
struct Tally {
  double loss = 0;
  int64_t correct = 0;
  int64_t pictures = 0;

  void add(double mean_loss, int64_t correct_pictures, int64_t batch_pictures) {
    loss += mean_loss * static_cast<double>(batch_pictures);
    correct += correct_pictures;
    pictures += batch_pictures;
  }
  double mean_loss() const { return pictures > 0 ? loss / static_cast<double>(pictures) : 0; }
  double accuracy() const {
    return pictures > 0 ? static_cast<double>(correct) / static_cast<double>(pictures) : 0;
  }
};

// Where a run stands.
struct TrainState {
  int64_t step = 0;   // steps done
  int64_t epoch = 0;  // of the next batch
  int64_t batch = 0;  // the next one within its epoch
  Tally since_epoch;  // began
  Tally since_log;    // the last line of metrics
  double best_accuracy = -1;
  int64_t best_step = -1;  // whose checkpoint is kept; -1: nothing was evaluated
  double seconds = 0;      // spent training
};

struct RunParts {
  VisionTransformer& model;
  AdamW& optimizer;
  // What a run must have in common with the checkpoint that it continues.
  nlohmann::json identity;
};

class CheckpointFolder {
 public:
  // Error: the folder cannot be made.
  explicit CheckpointFolder(std::filesystem::path folder);

  std::filesystem::path path_of(int64_t step) const;
  // Writes the checkpoint of state.step, then removes all but the last two and the best one.
  // Error: it cannot be written; those before are intact.
  void save(const RunParts& parts, const TrainState& state) const;

  // Continues from the newest checkpoint that is whole; a damaged one is named in a warning and the
  // one before it is taken. Nothing when there is none. Error: all are damaged, or the run that
  // made it was another (the message says what differs).
  std::optional<TrainState> restore(const RunParts& parts) const;
  // The weights alone. Error: damaged, or of another model.
  void load_weights_of(int64_t step, VisionTransformer& model) const;

  // Steps that have a checkpoint, ascending.
  std::vector<int64_t> steps() const;

 private:
  std::filesystem::path folder_;
};

// Removes what a killed process was writing in a folder that is the run's own.
void remove_unfinished_files(const std::filesystem::path& folder);

}  // namespace vitrail
