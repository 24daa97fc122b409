// Run: the loop of a training run, between a prepared folder and its result. trainer.h is the way
// in.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/judge/metrics.h"
#include "train/run/checkpoint.h"
#include "train/run/run_data.h"
#include "train/run/run_log.h"
#include "train/run/trainer.h"

namespace vitrail {

class Run {
 public:
  Run(const TrainConfig& config, const RunOptions& options);
  TrainResult run();

 private:
  using Clock = std::chrono::steady_clock;

  void begin();
  void keep_or_check_split(bool resumed);
  void compare_isa();
  void begin_records(bool resumed);
  void take_up(const TrainState& state);
  bool take_best();
  bool train_epoch();  // false: stopped
  bool next_parts(std::vector<Batch>& parts);
  void count(const StepResult& step);
  void report_skip(const StepResult& step, const std::vector<Batch>& parts);
  void log_step(const StepResult& step);
  void report_progress(const StepResult& step) const;
  bool asked_to_stop() const;
  bool end_epoch();  // true: the weights are worth exporting
  bool out_of_patience() const;
  std::optional<Evaluation> judge(bool finished);
  Evaluation evaluate_on(const Dataset& set);
  Evaluation evaluate_features(const Dataset& set);
  void illustrate(const Dataset& set);
  bool classifies() const { return method_->model().class_answer().classes > 0; }
  TrainResult finish();
  TrainResult result_so_far() const;

  void export_model() const;
  bool weights_are_finite();
  void save();
  void say(const std::string& line) const;
  void record(const nlohmann::json& line) const;
  bool writes() const { return options_.exchange == nullptr || options_.exchange->rank() == 0; }
  LoadShare alone();  // as if there were no other process
  LoadShare share();
  int64_t parts() const;  // of a step, over all processes
  double seconds() const;

  TrainConfig config_;
  RunOptions options_;
  RunData data_;
  Queue queue_;
  std::shared_ptr<Network> model_;  // unless the method has its own
  std::unique_ptr<Method> method_;
  Loader loader_;
  int64_t batches_;  // steps of an epoch
  Learner learner_;
  std::optional<Ema> ema_;
  CheckpointFolder checkpoints_;
  RunLog metrics_;
  LineFile log_;
  RunParts run_parts_;
  RunView view_;
  TrainState state_;
  std::optional<Evaluation> last_evaluation_;
  int64_t validation_learned_ = 0;
  Clock::time_point began_ = Clock::now();
  Clock::time_point epoch_began_ = began_;
  Clock::time_point log_began_ = began_;  // what the next line of metrics counts from
  int64_t pictures_this_epoch_ = 0;       // by this process
  int64_t pictures_since_log_ = 0;
  int64_t steps_here_ = 0;
};

std::filesystem::path config_path(const std::filesystem::path& out);

}  // namespace vitrail
