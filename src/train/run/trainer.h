// A training run, from a configuration to a folder:
//   train.json               the resolved configuration
//   metrics.jsonl            a line each log interval and epoch; the same numbers in
//   events.out.tfevents.*    for TensorBoard, a file a process
//   machine.jsonl            a line a process: what it ran on
//   train.log                the same for people
//   checkpoints/             the last two and the best one, each with the averaged weights when on
//   config.json, model.safetensors   the model so far: what --model takes
//
// A run that was killed at any moment and resumed ends with the weights of one that never was, bit
// for bit, with any number of threads and workers.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/judge/evaluate.h"
#include "train/methods/make_method.h"
#include "train/run/config.h"
#include "train/run/gradient_exchange.h"
#include "train/run/run_observer.h"

namespace vitrail {

class FolderLock;

struct TrainProgress {
  int64_t epoch = 0, epochs = 0;  // of the step done, from 0
  int64_t batch = 0, batches = 0;
  int64_t step = 0, total_steps = 0;  // steps done
  double loss = 0, accuracy = 0;      // over the epoch so far
  double learning_rate = 0;
  double pictures_per_second = 0;  // since this process began the epoch
  double seconds_left = 0;         // of training, evaluations included as they were so far
};

struct EpochReport {
  int64_t epoch = 0, epochs = 0;  // from 0
  double loss = 0, accuracy = 0;  // on the training pictures as they were augmented
  std::optional<Evaluation> evaluation;
  std::string evaluated_on;  // "val" or "test"
  bool best = false;
  double seconds = 0;  // of the run so far
};

struct RunOptions {
  std::filesystem::path out;
  // Of `out`, where the caller holds it already and goes on writing there; train() takes it itself
  // otherwise.
  const FolderLock* lock = nullptr;
  bool resume = false;
  int threads = 0;  // 0: all cores
  // Threads beside them that prepare pictures; 0: those that compute, whenever they would wait.
  int workers = 0;
  double max_broken = kMaxBroken;  // share of the pictures that may be unreadable
  int64_t checkpoint_steps = 0;    // also within an epoch, every so many steps; 0: at its end alone
  int64_t log_steps = 50;          // steps between two lines of metrics
  std::function<bool()> stop;      // asked after each step: write a checkpoint and return
  std::function<void(const TrainProgress&)> on_step;
  std::function<void(const EpochReport&)> on_epoch;
  std::function<void(const std::string&)> on_message;  // lines that also go to train.log
  std::vector<RunObserver*> observers;                 // outlive the run
  // Several processes that train one model (train/run/gradient_exchange.h); outlives the run. All
  // read options.out, and rank 0 alone writes there. A rank that throws must end the others.
  GradientExchange* exchange = nullptr;
  // Instead of methods/make_method.h.
  std::function<std::unique_ptr<Method>(const MethodSetup&)> make_method;
  // Instead of open_run_data().
  std::function<RunData(const TrainConfig&)> open_data;
  // Changes the first weights, or what is trained, before a run begins or is resumed: loads a
  // checkpoint, puts in adapters. Must do the same each time.
  std::function<void(Network&)> prepare_model;
};

struct TrainResult {
  bool interrupted = false;    // by stop(); a resumed run goes on from there
  bool stopped_early = false;  // by patience
  int64_t step = 0;
  int64_t parameters = 0;
  std::optional<Evaluation> validation;  // of the model that the folder holds
  std::optional<Evaluation> test;        // when the set has test pictures
  // Of the validation pictures, those that are copies of training pictures or that the teacher
  // learned from (train/run/run_split.h).
  int64_t validation_learned = 0;
  double seconds = 0;
  RunData data;  // the pictures, for who goes on with them
};

// Trains, or continues a run in options.out. The model that the folder holds at the end is the one
// that did best on validation pictures; a set that has only test pictures besides is evaluated on
// those each epoch, and then the last weights are kept, so that no choice is made on test pictures.
// Errors: a folder that another process writes into, one that holds a run already (without resume),
// a resumed run whose configuration or pictures are others, an unwritable folder, a disk without
// room for a checkpoint, classes whose names are not UTF-8, too many steps in a row whose loss is
// not finite.
TrainResult train(const TrainConfig& config, const RunOptions& options);

// The configuration of the run in a folder; nothing when there is none. Error: it is damaged.
std::optional<TrainConfig> config_of_run(const std::filesystem::path& out);

}  // namespace vitrail
