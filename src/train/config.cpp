#include "train/config.h"

#include <array>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "core/error.h"
#include "formats/json.h"

namespace vitrail {
namespace {

using nlohmann::json;

constexpr const char* kPlace = "training config";

// Calls visit(name, field) for every field but the model: the one list of them.
template <typename Config, typename Visit>
void visit_fields(Config& c, Visit visit) {
  visit("data", c.data);
  visit("val", c.val);
  visit("epochs", c.epochs);
  visit("batch_size", c.batch_size);
  visit("learning_rate", c.learning_rate);
  visit("min_learning_rate", c.min_learning_rate);
  visit("warmup_epochs", c.warmup_epochs);
  visit("weight_decay", c.weight_decay);
  visit("decay_all", c.decay_all);
  visit("beta1", c.beta1);
  visit("beta2", c.beta2);
  visit("epsilon", c.epsilon);
  visit("clip_norm", c.clip_norm);
  visit("label_smoothing", c.label_smoothing);
  visit("precision", c.precision);
  visit("mean", c.mean);
  visit("std", c.std);
  visit("crop_fraction", c.crop_fraction);
  visit("random_resized_crop", c.random_resized_crop);
  visit("min_scale", c.min_scale);
  visit("crop_padding", c.crop_padding);
  visit("reflect_padding", c.reflect_padding);
  visit("flip_probability", c.flip_probability);
  visit("val_fraction", c.val_fraction);
  visit("evaluate_every", c.evaluate_every);
  visit("seed", c.seed);
}

// A setting's text as the JSON value of a field of this type.
template <typename Field>
json value_from_text(const std::string& name, const std::string& text) {
  if constexpr (std::is_same_v<Field, std::string>) {
    return text;
  } else {
    const bool list = std::is_same_v<Field, std::vector<double>>;
    const std::string written = list ? "[" + text + "]" : text;
    json value = json::parse(written, nullptr, false);
    check(!value.is_discarded(), kPlace, "{} takes {}, not '{}'", name,
          list                          ? "numbers with commas between them"
          : std::is_same_v<Field, bool> ? "true or false"
                                        : "a number",
          text);
    return value;
  }
}

void check_range(const char* name, double value, double low, double high) {
  check(value >= low && value <= high, kPlace, "{} is {}; it must lie between {} and {}", name,
        value, low, high);
}

// The values of the channels; one number stands for every channel.
std::array<double, 3> channel_values(const std::vector<double>& values) {
  if (values.size() == 1) return {values[0], values[0], values[0]};
  std::array<double, 3> channels{};
  for (size_t i = 0; i < values.size(); ++i) channels[i] = values[i];
  return channels;
}

}  // namespace

void TrainConfig::validate() const {
  model.validate();
  check(model.num_classes > 0, kPlace, "num_classes is 0; a classifier needs a head");
  check(model.in_channels == 1 || model.in_channels == 3, kPlace,
        "in_channels is {}; pictures have 1 or 3", model.in_channels);
  check_range("epochs", static_cast<double>(epochs), 1, 1e6);
  check_range("batch_size", static_cast<double>(batch_size), 1, 1 << 20);
  check_range("learning_rate", learning_rate, 0, 1e3);
  check_range("min_learning_rate", min_learning_rate, 0, learning_rate);
  check_range("warmup_epochs", warmup_epochs, 0, static_cast<double>(epochs));
  check_range("weight_decay", weight_decay, 0, 1e3);
  check_range("beta1", beta1, 0, 0.999999);
  check_range("beta2", beta2, 0, 0.999999999);
  check_range("epsilon", epsilon, 1e-30, 1);
  check_range("clip_norm", clip_norm, 0, 1e9);
  check_range("label_smoothing", label_smoothing, 0, 0.999999);
  check(precision == "f32" || precision == "bf16", kPlace,
        "precision is '{}'; training runs in f32 or bf16", precision);
  check_range("crop_fraction", crop_fraction, 0.01, 1);
  check_range("val_fraction", val_fraction, 0, 0.9);
  check_range("evaluate_every", static_cast<double>(evaluate_every), 1, 1e6);
  check_range("seed", static_cast<double>(seed), 0, 9e18);
  for (const auto* values : {&mean, &std})
    check(values->size() == 1 || static_cast<int64_t>(values->size()) == model.in_channels, kPlace,
          "mean and std take 1 or {} numbers, not {}", model.in_channels, values->size());
  for (const double value : std) check(value > 0, kPlace, "std is {}; it must be above 0", value);
  check_preprocess(preprocess());
  check_augment(augment());
}

Preprocess TrainConfig::preprocess() const {
  Preprocess p;
  p.channels = static_cast<int>(model.in_channels);
  p.crop_to = {static_cast<int>(model.image_height), static_cast<int>(model.image_width)};
  if (model.image_height == model.image_width) {
    p.resize = ResizeMode::shortest_edge;
    p.crop = CropRule::torchvision;
    const int side = static_cast<int>(static_cast<double>(model.image_height) / crop_fraction);
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

AugmentOptions TrainConfig::augment() const {
  AugmentOptions options;
  options.random_resized_crop = random_resized_crop;
  options.min_scale = min_scale;
  options.crop_padding = crop_padding;
  options.reflect_padding = reflect_padding;
  options.flip_probability = flip_probability;
  return options;
}

OpenOptions TrainConfig::open_options() const {
  OpenOptions options;
  options.val_fraction = val_fraction;
  options.split_seed = static_cast<uint64_t>(seed);
  options.decode = preprocess().decode_options();
  return options;
}

json to_json(const TrainConfig& config) {
  json out = json::object();
  visit_fields(config, [&](const char* name, const auto& field) { out[name] = field; });
  out["model"] = to_json(config.model);
  return out;
}

TrainConfig train_config_from_json(const json& in) {
  check(in.is_object(), kPlace, "must be a JSON object");
  TrainConfig config;
  visit_fields(config, [&](const char* name, auto& field) {
    using Field = std::remove_reference_t<decltype(field)>;
    if (auto value = get_optional<Field>(in, name, kPlace)) field = std::move(*value);
  });
  const auto model = in.find("model");
  if (model != in.end()) config.model = vit_config_from_json(*model);
  const json known = to_json(config);
  for (const auto& item : in.items())
    check(known.contains(item.key()), kPlace, "there is no field '{}'", item.key());
  config.validate();
  return config;
}

void set_field(TrainConfig& config, const std::string& name, const std::string& value) {
  bool found = false;
  std::string known;
  visit_fields(config, [&](const char* field_name, auto& field) {
    using Field = std::remove_reference_t<decltype(field)>;
    known += std::string(field_name) + ", ";
    if (name != field_name) return;
    found = true;
    const json object{{name, value_from_text<Field>(name, value)}};
    field = get<Field>(object, name, kPlace);
  });
  if (found) return;
  if (name == "image_size" || name == "patch_size") {
    const std::string stem = name.substr(0, name.find('_'));
    set_field(config.model, stem + "_height", value);
    set_field(config.model, stem + "_width", value);
    return;
  }
  const json model = to_json(config.model);
  if (!model.contains(name)) {
    std::string names;
    for (const auto& item : model.items()) names += (names.empty() ? "" : ", ") + item.key();
    fail(kPlace, "there is no field '{}'; there are {}and those of the model: {}", name, known,
         names);
  }
  set_field(config.model, name, value);
}

std::string describe_differences(const TrainConfig& run, const TrainConfig& now) {
  json before = to_json(run), after = to_json(now);
  before.update(before.at("model"));
  after.update(after.at("model"));
  before.erase("model");
  after.erase("model");
  std::string text;
  for (const auto& item : before.items()) {
    const json& other = after.at(item.key());
    if (item.value() == other) continue;
    text += fmt::format("{}{} is {} in the run and {} now", text.empty() ? "" : "; ", item.key(),
                        item.value().dump(), other.dump());
  }
  return text;
}

}  // namespace vitrail
