// TrainConfig: everything that decides what a run computes. Whatever cannot change a weight
// (threads, workers, where the run is written) is not here.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"
#include "image/preprocess.h"
#include "models/vit_config.h"

namespace vitrail {

struct TrainConfig {
  std::string data;  // a data set's spec, as data/dataset.h knows them
  std::string val;   // another spec to evaluate on; empty: the set's own pictures
  VisionTransformerConfig model;

  int64_t epochs = 20;
  int64_t batch_size = 64;
  double learning_rate = 1e-3;
  double min_learning_rate = 1e-5;
  double warmup_epochs = 1;
  double weight_decay = 0.05;
  bool decay_all = false;  // also biases, norms, tokens and positions
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double clip_norm = 1;  // of all gradients together; 0: off
  double label_smoothing = 0.1;
  std::string precision = "f32";  // of products and attention: f32 or bf16

  // Pictures: short side to image_size / crop_fraction, centre crop; then (x - mean) / std.
  std::vector<double> mean{0.5}, std{0.5};  // one number stands for every channel
  double crop_fraction = 1;
  // Changes to training pictures (data/augment.h).
  bool random_resized_crop = false;
  double min_scale = 0.08;
  int64_t crop_padding = 0;
  bool reflect_padding = false;
  double flip_probability = 0;

  double val_fraction = 0.1;   // held out of a set without pictures for evaluation
  int64_t evaluate_every = 1;  // epochs
  int64_t seed = 0;
  bool operator==(const TrainConfig&) const = default;

  // Error naming the field that is out of range.
  void validate() const;
  Preprocess preprocess() const;
  AugmentOptions augment() const;
  OpenOptions open_options() const;
};

// Every field by its name here, the model's under "model". from_json: as for the model's config,
// and validated.
nlohmann::json to_json(const TrainConfig& config);
TrainConfig train_config_from_json(const nlohmann::json& json);
// What --set does: a field of the training or, failing that, of the model; image_size and
// patch_size are height and width at once. Lists are "0.5,0.4,0.3". Error: unknown name, bad value.
void set_field(TrainConfig& config, const std::string& name, const std::string& value);

// "batch_size is 64 in the run and 128 now; ...": the fields in which two configurations differ;
// empty when they are equal.
std::string describe_differences(const TrainConfig& run, const TrainConfig& now);

}  // namespace vitrail
