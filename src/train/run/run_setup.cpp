#include "train/run/run_setup.h"

#include <algorithm>
#include <cmath>

#include "train/optimizer/parameter_groups.h"

namespace vitrail {

LearnerOptions learner_options(const TrainConfig& config, int64_t batches) {
  const auto steps = [&](double epochs) {
    return std::llround(epochs * static_cast<double>(batches));
  };
  LearnerOptions options{
      .optimizer = {.kind = optimizer_from_name(config.optimizer),
                    .beta1 = config.beta1,
                    .beta2 = config.beta2,
                    .epsilon = config.epsilon,
                    .weight_decay = config.weight_decay,
                    .decay_all = config.decay_all,
                    .layer_decay = config.layer_decay,
                    .momentum = config.momentum,
                    .nesterov = config.nesterov,
                    .match_adamw = config.muon_match_adamw,
                    .adamw_rate = config.muon_adamw_rate,
                    .filter_rate = config.muon_filter_rate},
      .schedule = {.kind = schedule_from_name(config.schedule),
                   .learning_rate = config.learning_rate,
                   .min_learning_rate = config.min_learning_rate,
                   .warmup_steps = steps(config.warmup_epochs),
                   .warmup_learning_rate = config.warmup_learning_rate,
                   .cooldown_steps = steps(config.cooldown_epochs),
                   .total_steps = config.epochs * batches,
                   .one_cycle_rise = config.one_cycle_rise,
                   .one_cycle_divisor = config.one_cycle_divisor,
                   .decay_steps = std::max<int64_t>(1, steps(config.decay_epochs)),
                   .decay_rate = config.decay_rate},
      .weight_decay = std::nullopt,
      .clip_norm = config.clip_norm,
      .seed = static_cast<uint64_t>(config.seed),
      .precision = precision_from_name(config.precision),
      .activation_checkpointing = config.activation_checkpointing,
      .spike_threshold = config.spike_threshold,
      .skip_limit = config.skip_limit};
  if (config.learning.final_weight_decay >= 0)
    options.weight_decay = Schedule{.learning_rate = config.weight_decay,
                                    .min_learning_rate = config.learning.final_weight_decay,
                                    .warmup_steps = 0,
                                    .total_steps = config.epochs * batches};
  return options;
}

std::unique_ptr<Method> first_method(const TrainConfig& config, const RunOptions& options,
                                     Network& model, const RunData& data) {
  const MethodSetup setup{.config = config, .model = model, .classes = data.train->classes()};
  std::unique_ptr<Method> method =
      options.make_method ? options.make_method(setup) : make_method(setup);
  method->parameters().initialise(static_cast<uint64_t>(config.seed));
  if (options.prepare_model) options.prepare_model(method->model());
  method->begin();
  if (!config.freeze.empty()) freeze(method->parameters(), config.freeze);
  return method;
}

}  // namespace vitrail
