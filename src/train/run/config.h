// TrainConfig: everything that decides what a run computes. Whatever cannot change a weight
// (threads, workers, where the run is written) is not here.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"
#include "data/mix.h"
#include "image/preprocess/preprocess.h"
#include "models/vit_config.h"
#include "train/methods/method_config.h"

namespace vitrail {

struct TrainConfig {
  std::string data;  // a data set's spec, as data/dataset.h knows them
  std::string val;   // another spec to evaluate on; empty: the set's own pictures
  NetworkConfig model = VitConfig();

  std::string method = "supervised";  // train/methods/make_method.h

  int64_t epochs = 20;
  int64_t batch_size = 64;  // pictures a step, of all processes together
  // Parts of a step's batch that a process computes one after the other, so that less memory does;
  // not part of what a resumed run must have in common.
  int64_t accumulate = 1;
  std::string optimizer = "adamw";  // or "sgd", "muon" (train/optimizer/optimizer.h)
  double learning_rate = 1e-3;
  std::string schedule = "cosine";  // or "one_cycle", "step", "linear", "constant" (schedule.h)
  double min_learning_rate = 1e-5;
  double warmup_epochs = 1;
  double warmup_learning_rate = 0;  // where warm-up begins; 0: at its first step's share
  double cooldown_epochs = 0;       // the last ones, at min_learning_rate
  double one_cycle_rise = 0.3, one_cycle_divisor = 25;
  double decay_epochs = 30, decay_rate = 0.1;  // of "step"
  double weight_decay = 0.05;
  bool decay_all = false;  // also biases, norms, tokens and positions
  double layer_decay = 1;  // learning rate of each layer over that of the next one
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double momentum = 0.9;  // of sgd and muon
  bool nesterov = false;
  bool muon_match_adamw = true;
  double muon_adamw_rate = 1;  // learning rate of what muon leaves to AdamW, over its own
  // Relative step of filters behind a normalisation under muon, over learning_rate; 0: as matrices.
  double muon_filter_rate = 0;
  double clip_norm = 1;  // of all gradients together; 0: off
  std::string freeze;    // paths that are not trained: "patch_embed*,blocks.0.*"

  std::string loss = "cross_entropy";  // or "bce"
  double label_smoothing = 0.1;
  double bce_threshold = -1;  // targets above it count as 1, others as 0; below 0: as they are
  bool bce_sum = false;       // over the classes, instead of their mean

  double ema_decay = 0;  // of the averaged weights that are evaluated and exported; 0: off
  bool ema_warmup = false;

  // A loss so many robust deviations above the recent ones is skipped; 0: only what is not finite.
  double spike_threshold = 20;
  int64_t skip_limit = 20;  // so many steps in a row without a finite loss end the run
  int64_t patience = 0;     // evaluations without a better one that end the run; 0: never

  std::string precision = "f32";          // of products and attention: f32 or bf16
  bool activation_checkpointing = false;  // less memory, a third more time

  // Pictures: short side to image_size / crop_fraction, centre crop; then (x - mean) / std.
  // A checkpoint that is fine-tuned brings a preprocessing of its own, which counts instead.
  std::optional<Preprocess> pictures;
  std::vector<double> mean{0.5}, std{0.5};  // one number stands for every channel
  double crop_fraction = 1;
  AugmentOptions augment;  // its fields stand beside these, without a group of their own
  MixOptions mix;          // so do these

  double val_fraction = 0.1;   // held out of a set without pictures for evaluation
  int64_t evaluate_every = 1;  // epochs
  int64_t seed = 0;
  MethodConfig learning;  // its fields stand beside these, too
  bool operator==(const TrainConfig&) const = default;

  // Error naming the field that is out of range.
  void validate() const;
  Preprocess preprocess() const;
  OpenOptions open_options() const;
};

// Every field by its name here, the model's under "model". from_json: as for the model's config,
// and validated.
nlohmann::json to_json(const TrainConfig& config);
TrainConfig train_config_from_json(const nlohmann::json& json);
// What --set does: a field of the training or, failing that, of the model, for which
// models/setting_names.h has some short names. Lists are "0.5,0.4,0.3". Error: unknown name, bad
// value.
void set_field(TrainConfig& config, const std::string& name, const std::string& value);

// The names that set_field takes: all of them, and those that are not the model's.
const std::vector<std::string>& train_setting_names();
const std::vector<std::string>& own_train_setting_names();

// "batch_size is 64 in the run and 128 now; ...": the fields in which two configurations differ;
// empty when they are equal.
std::string describe_differences(const TrainConfig& run, const TrainConfig& now);

}  // namespace vitrail
