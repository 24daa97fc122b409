// Learner: one training step, from a batch to changed weights.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "autograd/running_statistics.h"
#include "core/precision.h"
#include "train/methods/method.h"
#include "train/optimizer/optimizer.h"
#include "train/optimizer/schedule.h"
#include "train/run/gradient_exchange.h"
#include "train/run/spikes.h"

namespace vitrail {

struct LearnerOptions {
  OptimizerOptions optimizer;
  Schedule schedule;
  std::optional<Schedule> weight_decay;  // over the run, instead of the optimizer's constant
  double clip_norm = 1;                  // 0: no clipping
  uint64_t seed = 0;                     // of dropout and drop-path
  // Of the products and attention, forward and backward: f32 or bf16. Weights, sums, gradients and
  // the optimizer's moments are f32 in both.
  Precision precision = Precision::f32;
  bool activation_checkpointing = false;
  double spike_threshold = 0;  // train/run/spikes.h
  int64_t skip_limit = 20;     // spikes in a row after which they are the new rule
};

enum class Skip : uint8_t { no, not_finite, spike };

struct StepResult {
  double loss = 0;           // before the update, mean over the parts
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;
  int64_t correct = 0;  // as the method counts
  int64_t pictures = 0;
  Skip skipped = Skip::no;  // otherwise no weight has changed
};

class Learner {
 public:
  // The method and the exchange must outlive the learner; parameters have values, and are trainable
  // or not for good. Without an exchange this process is alone. Error: the precision is int8.
  Learner(Method& method, const LearnerOptions& options, GradientExchange* exchange = nullptr);

  // One update from this process's parts of the step's batch, which are computed one after the
  // other: gradients are summed as ((part 0 + part 1) + part 2) ..., each part's from zero, then
  // multiplied by 1 / numbers.parts. numbers.part is the first of them, and the next ones follow at
  // a distance of as many as there are ranks; numbers.step fixes learning rate and random numbers.
  // A step whose loss or gradients are not finite, or whose loss is a spike, is skipped: on every
  // rank alike.
  StepResult step(Queue& queue, std::span<const Batch> parts, const StepNumbers& numbers);
  StepResult step(Queue& queue, const Batch& batch, const StepNumbers& numbers) {
    return step(queue, std::span(&batch, 1), numbers);
  }

  Optimizer& optimizer() { return *optimizer_; }
  SpikeDetector& spikes() { return spikes_; }

 private:
  void add_part(Queue& queue, const Batch& batch, const StepNumbers& numbers, bool last,
                StepResult& sums);
  void exchange_sums(StepResult& sums);

  Method& method_;
  LearnerOptions options_;
  GradientExchange* exchange_;
  PrecisionPlan plan_;
  std::unique_ptr<Optimizer> optimizer_;
  SpikeDetector spikes_;
  RunningStatistics running_;
  std::vector<Parameter*> trained_;
  std::vector<Tensor> earlier_;  // gradients of the step's earlier parts, for each of trained_
};

}  // namespace vitrail
