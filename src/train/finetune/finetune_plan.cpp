#include "train/finetune/finetune_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/statistics.h"

namespace vitrail {
namespace {

// Fewer pictures of a class than this teach a backbone little that a head cannot learn.
constexpr int64_t kFewPictures = 8;
constexpr int64_t kLargeModel = 60'000'000;  // parameters; Adam keeps two more of each
constexpr int64_t kMinEpochs = 4, kMaxEpochs = 20;
constexpr int64_t kPicturesThatTell = 30;

// "5.7 M"
std::string millions(int64_t count) {
  return fmt::format("{:.1f} M", 1e-6 * static_cast<double>(count));
}

std::string won_text(const Measured& probe) {
  if (probe.correct == probe.pictures)
    return fmt::format("it is right on all {} validation pictures, so training could gain nothing",
                       probe.pictures);
  return fmt::format(
      "nothing is left to gain that {} validation pictures could show: the 95% interval of a model "
      "without a mistake is {:.1f}% to 100%, and the probe's {:.1f}% is within it",
      probe.pictures, 100 * wilson_interval(probe.pictures, probe.pictures).low,
      100 * static_cast<double>(probe.correct) / static_cast<double>(probe.pictures));
}

// What a training step costs over a forward pass, as their products count; estimates.
double cost_of(FinetuneMethod method, int64_t blocks, int64_t depth) {
  switch (method) {
    case FinetuneMethod::full:
      return 3.4;
    case FinetuneMethod::lora:
      return 3.0;
    case FinetuneMethod::partial:
      return 1 + 2.4 * static_cast<double>(blocks) / static_cast<double>(depth);
    default:
      return 1;
  }
}

int64_t batch_for(int64_t pictures) {
  if (pictures < 80) return 8;
  if (pictures < 320) return 16;
  return pictures < 20000 ? 32 : 64;
}

}  // namespace

bool has_won(const Measured& probe) {
  if (probe.map || probe.pictures <= 0) return false;
  if (probe.correct == probe.pictures) return true;
  const auto all = static_cast<double>(probe.pictures);
  return probe.pictures >= kPicturesThatTell &&
         static_cast<double>(probe.correct) / all >=
             wilson_interval(probe.pictures, probe.pictures).low;
}

FinetunePlan plan_finetune(const NetworkConfig& model, const FinetuneOptions& options,
                           const FinetuneFacts& facts) {
  const int64_t depth = model.num_blocks();
  const ClassAnswer answer = model.class_answer();
  FinetunePlan plan;
  plan.method = options.method;
  plan.blocks = options.blocks.value_or(std::max<int64_t>(1, depth / 3));
  plan.lora.rank = options.rank.value_or(8);
  plan.lora.alpha = static_cast<double>(2 * plan.lora.rank);

  const double budget = 60 * options.minutes;
  const auto epoch_seconds = [&](FinetuneMethod method) {
    return static_cast<double>(facts.pictures) * cost_of(method, plan.blocks, depth) *
           static_cast<double>(facts.multiply_adds) / kNominalRate;
  };
  // Without transformer blocks there is nothing between the head and the whole.
  const auto fits = [&](FinetuneMethod method) {
    if (depth == 0 && method != FinetuneMethod::full) return false;
    return static_cast<double>(kMinEpochs) * epoch_seconds(method) <= budget;
  };
  if (plan.method == FinetuneMethod::automatic) {
    if (facts.pictures < kFewPictures * facts.classes) {
      plan.method = FinetuneMethod::probe;
      plan.why = fmt::format("fewer than {} pictures a class", kFewPictures);
    } else if (facts.parameters <= kLargeModel && fits(FinetuneMethod::full)) {
      plan.method = FinetuneMethod::full;
      plan.why = fmt::format("{} weights can be trained whole", millions(facts.parameters));
    } else if (fits(FinetuneMethod::lora)) {
      plan.method = FinetuneMethod::lora;
      plan.why = facts.parameters > kLargeModel
                     ? fmt::format("of a large model ({} weights) adapters learn faster",
                                   millions(facts.parameters))
                     : fmt::format("the whole would take more than {:g} minutes", options.minutes);
    } else if (fits(FinetuneMethod::partial)) {
      plan.method = FinetuneMethod::partial;
      plan.why = fmt::format("adapters would take more than {:g} minutes", options.minutes);
    } else {
      plan.method = FinetuneMethod::probe;
      plan.why =
          fmt::format("{} epochs would take more than {:g} minutes", kMinEpochs, options.minutes);
    }
    if (plan.method != FinetuneMethod::probe && has_won(facts.probe)) {
      plan.spared = plan.method;
      plan.method = FinetuneMethod::probe;
      plan.why = won_text(facts.probe);
    }
  } else {
    plan.why = "asked for";
  }

  TrainConfig& config = plan.config;
  config.data = options.data;
  config.model = model;
  config.pictures = options.preprocess;
  config.val_fraction = options.val_fraction;
  config.seed = options.seed;
  const int64_t share = (batch_for(facts.pictures) + facts.processes - 1) / facts.processes;
  config.batch_size = options.batch_size.value_or(share * facts.processes);
  const double affordable = budget / std::max(1e-9, epoch_seconds(plan.method));
  config.epochs = options.epochs.value_or(
      std::clamp<int64_t>(static_cast<int64_t>(std::min(affordable, 1e6)), kMinEpochs, kMaxEpochs));
  config.warmup_epochs = std::min(2.0, 0.1 * static_cast<double>(config.epochs));
  config.patience = std::max<int64_t>(3, config.epochs / 3);
  // Adam's steps grow with the root of the batch (Malladi et al. 2022).
  const double scale = std::sqrt(static_cast<double>(config.batch_size) / 32);
  const bool adapters = plan.method == FinetuneMethod::lora;
  config.learning_rate = options.learning_rate.value_or((adapters ? 1e-3 : 3e-4) * scale);
  config.min_learning_rate = std::min(1e-6, config.learning_rate);
  config.weight_decay = adapters ? 0 : 0.05;
  config.layer_decay = options.layer_decay.value_or(adapters ? 1 : 0.75);
  config.label_smoothing = answer.multi_label ? 0 : 0.1;
  if (answer.multi_label) config.loss = "bce";
  config.model.set_drop_path(plan.method == FinetuneMethod::full ? 0.1 : 0);
  config.augment.random_resized_crop = true;
  config.augment.min_scale = 0.35;
  config.augment.flip_probability = 0.5;
  for (const auto& [name, value] : options.settings) set_field(config, name, value);
  return plan;
}

}  // namespace vitrail
