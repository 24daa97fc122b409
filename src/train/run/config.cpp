#include "train/run/config.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/nearest.h"
#include "formats/json.h"
#include "formats/json_text.h"
#include "formats/option_fields.h"
#include "models/setting_names.h"
#include "train/optimizer/optimizer.h"
#include "train/optimizer/schedule.h"

namespace vitrail {
namespace {

// Calls visit(name, field) for every field but the model and the options that have a list of their
// own: the one list of them.
constexpr auto kFields = [](auto& c, auto visit) {
  visit("data", c.data);
  visit("val", c.val);
  visit("method", c.method);
  visit("epochs", c.epochs);
  visit("batch_size", c.batch_size);
  visit("accumulate", c.accumulate);
  visit("optimizer", c.optimizer);
  visit("learning_rate", c.learning_rate);
  visit("schedule", c.schedule);
  visit("min_learning_rate", c.min_learning_rate);
  visit("warmup_epochs", c.warmup_epochs);
  visit("warmup_learning_rate", c.warmup_learning_rate);
  visit("cooldown_epochs", c.cooldown_epochs);
  visit("one_cycle_rise", c.one_cycle_rise);
  visit("one_cycle_divisor", c.one_cycle_divisor);
  visit("decay_epochs", c.decay_epochs);
  visit("decay_rate", c.decay_rate);
  visit("weight_decay", c.weight_decay);
  visit("decay_all", c.decay_all);
  visit("layer_decay", c.layer_decay);
  visit("beta1", c.beta1);
  visit("beta2", c.beta2);
  visit("epsilon", c.epsilon);
  visit("momentum", c.momentum);
  visit("nesterov", c.nesterov);
  visit("muon_match_adamw", c.muon_match_adamw);
  visit("muon_adamw_rate", c.muon_adamw_rate);
  visit("muon_filter_rate", c.muon_filter_rate);
  visit("clip_norm", c.clip_norm);
  visit("freeze", c.freeze);
  visit("loss", c.loss);
  visit("label_smoothing", c.label_smoothing);
  visit("bce_threshold", c.bce_threshold);
  visit("bce_sum", c.bce_sum);
  visit("ema_decay", c.ema_decay);
  visit("ema_warmup", c.ema_warmup);
  visit("spike_threshold", c.spike_threshold);
  visit("skip_limit", c.skip_limit);
  visit("patience", c.patience);
  visit("precision", c.precision);
  visit("activation_checkpointing", c.activation_checkpointing);
  visit("mean", c.mean);
  visit("std", c.std);
  visit("crop_fraction", c.crop_fraction);
  visit("val_fraction", c.val_fraction);
  visit("evaluate_every", c.evaluate_every);
  visit("seed", c.seed);
  visit_method_fields(c.learning, visit);
};

// The values of the channels; one number stands for every channel.
std::array<double, 3> channel_values(const std::vector<double>& values) {
  if (values.size() == 1) return {values[0], values[0], values[0]};
  std::array<double, 3> channels{};
  for (size_t i = 0; i < values.size(); ++i) channels[i] = values[i];
  return channels;
}

}  // namespace

void TrainConfig::validate() const {
  const std::string not_utf8 = find_not_utf8(to_json(*this));
  check(not_utf8.empty(), kTrainingConfig, "{}, which is not UTF-8: train.json could not keep it",
        not_utf8);
  model.validate();
  learning.validate(method);
  check(model.class_answer().classes > 0 || method != "supervised", kTrainingConfig,
        "num_classes is 0; a classifier needs a head");
  const int64_t channels = model.pictures().channels;
  check(channels == 1 || channels == 3, kTrainingConfig, "in_channels is {}; pictures have 1 or 3",
        channels);
  check_range("epochs", static_cast<double>(epochs), 1, 1e6);
  check_range("batch_size", static_cast<double>(batch_size), 1, 1 << 20);
  check_range("accumulate", static_cast<double>(accumulate), 1, static_cast<double>(batch_size));
  check(batch_size % accumulate == 0, kTrainingConfig,
        "accumulate {} does not divide batch_size {}", accumulate, batch_size);
  optimizer_from_name(optimizer);
  schedule_from_name(schedule);
  check_range("learning_rate", learning_rate, 0, 1e3);
  check_range("min_learning_rate", min_learning_rate, 0, learning_rate);
  check_range("warmup_epochs", warmup_epochs, 0, static_cast<double>(epochs));
  check_range("cooldown_epochs", cooldown_epochs, 0, static_cast<double>(epochs) - warmup_epochs);
  check_range("warmup_learning_rate", warmup_learning_rate, 0, learning_rate);
  check_range("one_cycle_rise", one_cycle_rise, 0.001, 0.999);
  check_range("one_cycle_divisor", one_cycle_divisor, 1, 1e9);
  check_range("decay_epochs", decay_epochs, 1e-6, 1e6);
  check_range("decay_rate", decay_rate, 0, 1);
  check_range("weight_decay", weight_decay, 0, 1e3);
  check_range("layer_decay", layer_decay, 0, 1);
  check_range("momentum", momentum, 0, 0.999999);
  check_range("muon_adamw_rate", muon_adamw_rate, 0, 1000);
  check_range("muon_filter_rate", muon_filter_rate, 0, 1e6);
  check_range("beta1", beta1, 0, 0.999999);
  check_range("beta2", beta2, 0, 0.999999999);
  check_range("epsilon", epsilon, 1e-30, 1);
  check_range("clip_norm", clip_norm, 0, 1e9);
  check(loss == "cross_entropy" || loss == "bce", kTrainingConfig,
        "loss is '{}'; there are cross_entropy and bce", loss);
  check_range("label_smoothing", label_smoothing, 0, 0.999999);
  check_range("bce_threshold", bce_threshold, -1, 1);
  check_range("ema_decay", ema_decay, 0, 0.9999999);
  check_range("spike_threshold", spike_threshold, 0, 1e9);
  check_range("skip_limit", static_cast<double>(skip_limit), 0, 1e9);
  check_range("patience", static_cast<double>(patience), 0, 1e6);
  check(precision == "f32" || precision == "bf16", kTrainingConfig,
        "precision is '{}'; training runs in f32 or bf16", precision);
  check_range("crop_fraction", crop_fraction, 0.01, 1);
  check_range("val_fraction", val_fraction, 0, 0.9);
  check_range("evaluate_every", static_cast<double>(evaluate_every), 1, 1e6);
  check_range("seed", static_cast<double>(seed), 0, 9e18);
  for (const auto* values : {&mean, &std})
    check(values->size() == 1 || static_cast<int64_t>(values->size()) == channels, kTrainingConfig,
          "mean and std take 1 or {} numbers, not {}", channels, values->size());
  for (const double value : std)
    check(value > 0, kTrainingConfig, "std is {}; it must be above 0", value);
  check_preprocess(preprocess());
  check_augment(augment);
  check_mix(mix);
}

Preprocess TrainConfig::preprocess() const {
  if (pictures) return *pictures;
  Preprocess p;
  const PictureInput input = model.pictures();
  p.channels = static_cast<int>(input.channels);
  p.crop_to = {static_cast<int>(input.height), static_cast<int>(input.width)};
  if (input.height == input.width) {
    p.resize = ResizeMode::shortest_edge;
    p.crop = CropRule::torchvision;
    const int side = static_cast<int>(static_cast<double>(input.height) / crop_fraction);
    p.resize_to = {side, side};
  } else {
    p.resize = ResizeMode::squash;
    p.resize_to = p.crop_to;
  }
  p.mean = channel_values(mean);
  p.std = channel_values(std);
  p.exif = ExifPolicy::apply;
  p.source = "vitrail train";
  return p;
}

OpenOptions TrainConfig::open_options() const {
  OpenOptions options;
  options.val_fraction = val_fraction;
  options.split_seed = static_cast<uint64_t>(seed);
  options.decode = preprocess().decode_options();
  return options;
}

Json to_json(const TrainConfig& config) {
  Json out = fields_to_json(config, kFields);
  out.update(to_json(config.augment));
  out.update(to_json(config.mix));
  out["model"] = to_json(config.model);
  if (config.pictures) out["pictures"] = to_json(*config.pictures);
  return out;
}

TrainConfig train_config_from_json(const Json& in) {
  TrainConfig config;
  fields_from_json(config, kFields, in, kTrainingConfig);
  from_json(in, config.augment);
  from_json(in, config.mix);
  const auto model = in.find("model");
  if (model != in.end()) config.model = network_config_from_json(*model);
  if (const auto pictures = in.find("pictures"); pictures != in.end())
    config.pictures = from_json(*pictures);
  const Json known = to_json(config);
  for (const auto& item : in.items())
    check(known.contains(item.key()), kTrainingConfig, "there is no field '{}'", item.key());
  config.validate();
  return config;
}

void set_field(TrainConfig& config, const std::string& name, const std::string& value) {
  if (field_from_text(config, kFields, name, value, kTrainingConfig)) return;
  if (set_field(config.augment, name, value) || set_field(config.mix, name, value)) return;
  const std::vector<std::string>& all = train_setting_names();
  check(std::ranges::find(all, name) != all.end(), kTrainingConfig, "there is no field '{}'{}",
        name, did_you_mean_or_all(name, all));
  for (const std::string& field : fields_of_setting(name)) config.model.set(field, value);
}

const std::vector<std::string>& own_train_setting_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> own;
    const Json fields = to_json(TrainConfig());
    for (const auto& item : fields.items())
      if (item.key() != "model" && item.key() != "pictures") own.push_back(item.key());
    return own;
  }();
  return names;
}

const std::vector<std::string>& train_setting_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = own_train_setting_names();
    all.insert(all.end(), model_setting_names().begin(), model_setting_names().end());
    return all;
  }();
  return names;
}

std::string describe_differences(const TrainConfig& run, const TrainConfig& now) {
  Json before = to_json(run), after = to_json(now);
  before.update(before.at("model"));
  after.update(after.at("model"));
  before.erase("model");
  after.erase("model");
  std::string text;
  after["accumulate"] = before.at("accumulate");  // changes how a step is computed, not which
  for (const auto& item : before.items()) {
    const Json& other = after[item.key()];  // null: one of them has no preprocessing of its own
    if (item.value() == other) continue;
    text += fmt::format("{}{} is {} in the run and {} now", text.empty() ? "" : "; ", item.key(),
                        json_text(item.value()), json_text(other));
  }
  return text;
}

}  // namespace vitrail
