#include "train/finetune_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace vitrail {
namespace {

// Fewer pictures of a class than this teach a backbone little that a head cannot learn.
constexpr int64_t kFewPictures = 8;
constexpr int64_t kLargeModel = 60'000'000;  // parameters; Adam keeps two more of each
constexpr int64_t kMinEpochs = 4, kMaxEpochs = 20;

// Seconds of a training step over those of a forward pass, as their products count; estimates.
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

FinetunePlan plan_finetune(const VisionTransformerConfig& model, const FinetuneOptions& options,
                           const FinetuneFacts& facts) {
  FinetunePlan plan;
  plan.method = options.method;
  plan.blocks = options.blocks.value_or(std::max<int64_t>(1, model.depth / 3));
  plan.lora.rank = options.rank.value_or(8);
  plan.lora.alpha = static_cast<double>(2 * plan.lora.rank);

  const double budget = 60 * options.minutes;
  const auto epoch_seconds = [&](FinetuneMethod method) {
    return static_cast<double>(facts.pictures) * cost_of(method, plan.blocks, model.depth) /
           std::max(1e-9, facts.forward_rate);
  };
  // Without transformer blocks there is nothing between the head and the whole.
  const auto fits = [&](FinetuneMethod method) {
    if (model.depth == 0 && method != FinetuneMethod::full) return false;
    return static_cast<double>(kMinEpochs) * epoch_seconds(method) <= budget;
  };
  if (plan.method == FinetuneMethod::automatic) {
    if (facts.pictures < kFewPictures * facts.classes) {
      plan.method = FinetuneMethod::probe;
      plan.why = fmt::format("fewer than {} pictures a class", kFewPictures);
    } else if (facts.parameters <= kLargeModel && fits(FinetuneMethod::full)) {
      plan.method = FinetuneMethod::full;
      plan.why = "the model is small enough to be trained whole";
    } else if (fits(FinetuneMethod::lora)) {
      plan.method = FinetuneMethod::lora;
      plan.why = "of a large model adapters learn faster";
    } else if (fits(FinetuneMethod::partial)) {
      plan.method = FinetuneMethod::partial;
      plan.why = fmt::format("the whole would take more than {:.0f} minutes", options.minutes);
    } else {
      plan.method = FinetuneMethod::probe;
      plan.why =
          fmt::format("{} epochs would take more than {:.0f} minutes", kMinEpochs, options.minutes);
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
  config.label_smoothing = model.multi_label ? 0 : 0.1;
  if (model.multi_label) config.loss = "bce";
  config.model.drop_path = plan.method == FinetuneMethod::full ? 0.1 : 0;
  config.augment.random_resized_crop = true;
  config.augment.min_scale = 0.35;
  config.augment.flip_probability = 0.5;
  for (const auto& [name, value] : options.settings) set_field(config, name, value);
  return plan;
}

}  // namespace vitrail
