#include "train/run/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/log.h"
#include "core/printable.h"
#include "core/rng.h"
#include "formats/json.h"
#include "formats/json_text.h"
#include "formats/safetensors.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeights = "model.";  // the method's parameters
constexpr const char* kMethod = "method.";  // what else it keeps
constexpr const char* kAverages = "ema.";
constexpr std::string_view kStart = "step-", kEnd = ".safetensors";
constexpr int64_t kKept = 2;

Json to_json(const Tally& tally) {
  return {{"loss", tally.loss}, {"correct", tally.correct}, {"pictures", tally.pictures}};
}

// Steps, epochs and pictures that a run may come to: sums and products of them stay far from the
// limits of int64_t.
constexpr int64_t kMaxCount = int64_t{1} << 40;

int64_t count_in(const Json& json, const char* key, const std::string& place, int64_t low = 0,
                 int64_t high = kMaxCount) {
  return get_in(json, key, place, {.low = low, .high = high});
}

double number_in(const Json& json, const char* key, const std::string& place, double low,
                 double high) {
  const auto value = get<double>(json, key, place);
  check(value >= low && value <= high, "checkpoint", "{}: {} is {}, outside {} to {}", place, key,
        value, low, high);
  return value;
}

Tally tally_from_json(const Json& json, const std::string& place) {
  const int64_t pictures = count_in(json, "pictures", place);
  return {.loss = number_in(json, "loss", place, -1e300, 1e300),
          .correct = count_in(json, "correct", place, 0, pictures),
          .pictures = pictures};
}

Json to_json(const TrainState& state) {
  return {{"step", state.step},
          {"epoch", state.epoch},
          {"batch", state.batch},
          {"since_epoch", to_json(state.since_epoch)},
          {"since_log", to_json(state.since_log)},
          {"best_accuracy", state.best_accuracy},
          {"best_step", state.best_step},
          {"unimproved", state.unimproved},
          {"not_finite", state.not_finite},
          {"seconds", state.seconds}};
}

const Json& object_at(const Json& json, const char* key, const std::string& place) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  check(json.is_object() && found != json.end() && found->is_object(), "checkpoint",
        "{}: its description has no {}", place, key);
  return *found;
}

// `step`: as the file's name has it.
TrainState state_from_json(const Json& json, int64_t step, const std::string& place) {
  return {.step = count_in(json, "step", place, step, step),
          .epoch = count_in(json, "epoch", place, 0, step),
          .batch = count_in(json, "batch", place, 0, step),
          .since_epoch = tally_from_json(object_at(json, "since_epoch", place), place),
          .since_log = tally_from_json(object_at(json, "since_log", place), place),
          .best_accuracy = number_in(json, "best_accuracy", place, -1, 1),
          .best_step = count_in(json, "best_step", place, -1, step),
          .unimproved = count_in(json, "unimproved", place),
          .not_finite = count_in(json, "not_finite", place),
          .seconds = number_in(json, "seconds", place, 0, 1e12)};
}

uint64_t hash_tensor(const Tensor& tensor) {
  return hash_path({reinterpret_cast<const char*>(tensor.raw()), tensor.bytes()});
}

// Over the description and every tensor, in the order of names.
std::string checksum(const std::string& description, const TensorSource& tensors) {
  std::string text = description;
  for (const std::string& name : tensors.names())
    text += fmt::format("\n{} {:016x}", name, hash_tensor(tensors.tensor(name)));
  return fmt::format("{:016x}", hash_path(text));
}

struct Opened {
  std::shared_ptr<TensorSource> tensors;
  Json description;
};

// Error: not a whole checkpoint.
Opened open_verified(const fs::path& path) {
  Opened opened;
  opened.tensors = SafetensorsFile::open(path);
  const auto& metadata = opened.tensors->metadata();
  const auto description = metadata.find("vitrail");
  const auto sum = metadata.find("checksum");
  check(description != metadata.end() && sum != metadata.end(), "checkpoint",
        "{}: is not a checkpoint of a training run", path.string());
  check(checksum(description->second, *opened.tensors) == sum->second, "checkpoint",
        "{}: its checksum is wrong", path.string());
  opened.description = parse_json(description->second, path.string());
  return opened;
}

void append(NamedTensors& to, const NamedTensors& from, const std::string& prefix = "") {
  for (const auto& [name, tensor] : from) to.emplace_back(prefix + name, tensor);
}

// The weights under their paths.
NamedTensors weights_in(const TensorSource& tensors, const ParameterRegistry& parameters,
                        const std::string& prefix) {
  NamedTensors weights;
  for (const auto& parameter : parameters.all()) {
    const std::string name = prefix + parameter->path();
    check(tensors.info(name).shape == parameter->shape(), "checkpoint", "{}: {} is {}, not {}",
          tensors.place(), name, tensors.info(name).shape.str(), parameter->shape().str());
    weights.emplace_back(parameter->path(), tensors.tensor(name).clone());
  }
  return weights;
}

void set_weights(ParameterRegistry& parameters, const NamedTensors& weights) {
  for (const auto& [path, value] : weights) parameters.at(path).set_value(value);
}

// The tensors that begin with a prefix, without it.
std::unique_ptr<MemoryTensors> without_prefix(const TensorSource& tensors,
                                              std::string_view prefix) {
  NamedTensors found;
  for (const std::string& name : tensors.names())
    if (name.starts_with(prefix))
      found.emplace_back(name.substr(prefix.size()), tensors.tensor(name).clone());
  return std::make_unique<MemoryTensors>(found, std::map<std::string, std::string>{},
                                         tensors.place());
}

std::string differing_parts(const Json& run, const Json& now) {
  const Json before = run.flatten(), after = now.flatten();  // "/configuration/batch_size"
  const auto at = [](const Json& parts, const std::string& name) {
    const auto found = parts.find(name);
    return found == parts.end() ? "not set" : printable(json_text(*found));
  };
  std::set<std::string> names;
  for (const Json& parts : {before, after})
    for (const auto& item : parts.items()) names.insert(item.key());
  std::string text;
  for (const std::string& name : names)
    if (at(before, name) != at(after, name))
      text += fmt::format("{}{} was {} and is {}", text.empty() ? "" : "; ",
                          name.empty() ? "it" : printable(name.substr(1)), at(before, name),
                          at(after, name));
  return text;
}

// What lies where a checkpoint will be written again and cannot be written over: a folder, a pipe.
void set_aside(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (!fs::exists(status) || fs::is_regular_file(status)) return;
  fs::path aside = path;
  fs::rename(path, aside += ".damaged", ignored);
}

}  // namespace

void remove_unfinished_files(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().extension() == ".tmp") remove_if_abandoned(entry.path());
}

CheckpointFolder::CheckpointFolder(fs::path folder) : folder_(std::move(folder)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  check(!error, "checkpoint", "{}: the folder cannot be made: {}", folder_.string(),
        error.message());
}

fs::path CheckpointFolder::path_of(int64_t step) const {
  return folder_ / fmt::format("{}{:09}{}", kStart, step, kEnd);
}

std::vector<int64_t> CheckpointFolder::steps() const {
  std::vector<int64_t> steps;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kStart) || !name.ends_with(kEnd)) continue;
    const char* begin = name.data() + kStart.size();
    const char* end = name.data() + name.size() - kEnd.size();
    int64_t step = 0;
    const auto result = std::from_chars(begin, end, step);
    if (result.ec == std::errc() && result.ptr == end) steps.push_back(step);
  }
  std::ranges::sort(steps);
  return steps;
}

void CheckpointFolder::save(const RunParts& parts, const TrainState& state) const {
  NamedTensors tensors;
  for (const auto& parameter : parts.method.parameters().all())
    tensors.emplace_back(kWeights + parameter->path(), parameter->value());
  append(tensors, parts.learner.optimizer().state());
  append(tensors, parts.learner.spikes().state());
  append(tensors, parts.method.state(), kMethod);
  if (parts.ema != nullptr) append(tensors, parts.ema->state());
  const Json json{{"state", to_json(state)},
                  {"optimizer_steps", parts.learner.optimizer().steps()},
                  {"identity", parts.identity}};
  const std::string description = json_text(json);
  const std::string sum = checksum(description, MemoryTensors(tensors));
  write_safetensors(path_of(state.step), tensors, {{"checksum", sum}, {"vitrail", description}});

  const std::vector<int64_t> all = steps();
  const auto count = static_cast<int64_t>(all.size());
  std::error_code ignored;  // an old file that stays does no harm
  for (int64_t i = 0; i < count - kKept; ++i) {
    const int64_t step = all[static_cast<size_t>(i)];
    if (step != state.best_step) fs::remove(path_of(step), ignored);
  }
}

uint64_t CheckpointFolder::bytes(const RunParts& parts) {
  uint64_t sum = 0;
  const auto add = [&](const NamedTensors& tensors) {
    for (const auto& [name, tensor] : tensors) sum += tensor.bytes();
  };
  for (const auto& parameter : parts.method.parameters().all())
    sum += static_cast<uint64_t>(parameter->shape().numel()) * sizeof(float);
  add(parts.learner.optimizer().state());
  add(parts.method.state());
  if (parts.ema != nullptr) add(parts.ema->state());
  return sum;
}

std::string CheckpointFolder::damage(int64_t step) const {
  try {
    open_verified(path_of(step));
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::optional<TrainState> CheckpointFolder::restore(const RunParts& parts) const {
  remove_unfinished_files(folder_);
  std::vector<int64_t> candidates = steps();
  std::ranges::reverse(candidates);
  for (const int64_t step : candidates) {
    Opened opened;
    try {
      opened = open_verified(path_of(step));
    } catch (const Error& error) {
      log_warning(fmt::format("a checkpoint is damaged and left out: {}", error.what()));
      set_aside(path_of(step));
      continue;
    }
    // Whole: what does not fit from here on is another run's.
    const std::string place = path_of(step).string();
    const std::string differences =
        differing_parts(object_at(opened.description, "identity", place), parts.identity);
    check(differences.empty(), "resume", "{} is of another run: {}", place, differences);
    TrainState state = state_from_json(object_at(opened.description, "state", place), step, place);
    const int64_t optimizer_steps = count_in(opened.description, "optimizer_steps", place, 0, step);
    ParameterRegistry& parameters = parts.method.parameters();
    const NamedTensors weights = weights_in(*opened.tensors, parameters, kWeights);
    parts.learner.optimizer().load(*opened.tensors, optimizer_steps);
    parts.learner.spikes().load(*opened.tensors);
    if (parts.ema != nullptr) parts.ema->load(*opened.tensors);
    parts.method.load_state(*without_prefix(*opened.tensors, kMethod));
    set_weights(parameters, weights);
    if (state.best_step < 0 || state.best_step == step) return state;
    if (const std::string why = damage(state.best_step); !why.empty()) {
      log_warning(fmt::format(
          "the best checkpoint is damaged, and the best is chosen among what follows: {}", why));
      set_aside(path_of(state.best_step));
      state.best_step = -1;
      state.best_accuracy = -1;
    }
    return state;
  }
  check(candidates.empty(), "resume",
        "no checkpoint in {} is whole; remove the folder to begin anew", folder_.string());
  return std::nullopt;
}

void CheckpointFolder::load_weights_of(int64_t step, const RunParts& parts) const {
  const Opened opened = open_verified(path_of(step));
  ParameterRegistry& model = parts.method.model().parameters();
  set_weights(model,
              weights_in(*opened.tensors, model, parts.ema != nullptr ? kAverages : kWeights));
}

}  // namespace vitrail
