#include "models/peft/adapter_config.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>
#include <string_view>

#include "core/error.h"
#include "core/printable.h"
#include "formats/json_text.h"

namespace vitrail {
namespace {

// Read below.
constexpr std::array kUsed = {"peft_type",       "r",
                              "lora_alpha",      "rank_pattern",
                              "alpha_pattern",   "use_rslora",
                              "use_dora",        "lora_bias",
                              "modules_to_save", "target_modules",
                              "exclude_modules", "layers_to_transform",
                              "layers_pattern",  "init_lora_weights",
                              "auto_mapping"};

// What no answer depends on: bookkeeping, how training went, settings of what is switched off by
// another field, and `bias`, which says which of the file's tensors were trained: the file has
// them.
constexpr std::array kWithoutEffect = {"task_type",
                                       "base_model_name_or_path",
                                       "revision",
                                       "peft_version",
                                       "inference_mode",
                                       "lora_dropout",
                                       "fan_in_fan_out",
                                       "bias",
                                       "megatron_core",
                                       "qalora_group_size",
                                       "ensure_weight_tying",
                                       "eva_config",
                                       "runtime_config"};

// Initialisations that leave the base's weights as they are; the others (PiSSA, OLoRA, CorDA,
// LoftQ, LoRA-GA, MiCA) take a part out of them, which the adapter alone does not say.
constexpr std::array kPlainInitialisations = {"gaussian", "orthogonal", "eva"};

constexpr size_t kMaxPattern = 1000;

bool contains(const auto& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// Null, false, 0, "", [] and {} are how PEFT writes that something is not used.
bool is_off(const Json& value) {
  return value.is_null() || (value.is_boolean() && !value.get<bool>()) ||
         (value.is_number() && value.get<double>() == 0) ||
         ((value.is_string() || value.is_structured()) && value.empty());
}

// A list of names, one name as a list, or nothing.
std::vector<std::string> names_of(const Json& config, const char* field, const std::string& place) {
  const auto found = config.find(field);
  if (found == config.end() || found->is_null()) return {};
  if (found->is_string()) return {found->get<std::string>()};
  return get<std::vector<std::string>>(config, field, place);
}

void refuse_initialisation(const Json& value, const std::string& place) {
  if (value.is_null() || value.is_boolean()) return;
  std::string word = value.is_string() ? value.get<std::string>() : json_text(value);
  std::ranges::transform(word, word.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (contains(kPlainInitialisations, word)) return;
  fail("adapter",
       "{}: init_lora_weights '{}' changed the base's weights when training began, and the adapter "
       "alone does not say how; save it with PEFT's path_initial_model_for_weight_conversion, or "
       "merge it (merge_and_unload) and load the merged model",
       place, printable(word));
}

template <typename T>
std::vector<std::pair<std::string, T>> patterns_of(const Json& config, const char* field,
                                                   const std::string& place) {
  std::vector<std::pair<std::string, T>> patterns;
  const auto found = config.find(field);
  if (found == config.end() || found->is_null()) return patterns;
  if (!found->is_object()) fail("adapter", "{}: {} is not an object", place, field);
  for (const auto& [key, value] : found->items())
    patterns.emplace_back(key, get<T>(*found, key, place));
  return patterns;
}

AdapterTargets targets_of(const Json& config, const std::string& place) {
  AdapterTargets targets;
  const auto modules = config.find("target_modules");
  if (modules != config.end() && modules->is_string())
    targets.pattern = modules->get<std::string>();
  else
    targets.names = names_of(config, "target_modules", place);
  const auto excluded = config.find("exclude_modules");
  if (excluded != config.end() && excluded->is_string())
    targets.excluded_pattern = excluded->get<std::string>();
  else
    targets.excluded_names = names_of(config, "exclude_modules", place);
  const auto layers = config.find("layers_to_transform");
  if (layers != config.end() && layers->is_number_integer())
    targets.layers = {get<int64_t>(config, "layers_to_transform", place)};
  else if (layers != config.end() && !layers->is_null())
    targets.layers = get<std::vector<int64_t>>(config, "layers_to_transform", place);
  targets.layers_patterns = names_of(config, "layers_pattern", place);
  return targets;
}

// Python's re, as far as ECMAScript says the same; anything else is an Error. A stranger wrote the
// pattern, so it is matched in polynomial time and without recursion where the library can.
std::regex compiled(const std::string& pattern, const std::string& place) {
  auto flags = std::regex::ECMAScript;
#ifdef __GLIBCXX__
  flags |= std::regex_constants::__polynomial;
#endif
  try {
    if (pattern.size() <= kMaxPattern) return std::regex(pattern, flags);
  } catch (const std::regex_error&) {
  }
  fail("adapter", "{}: '{}' is not a regular expression that can be read", place,
       printable(pattern));
}

// re.match(rf"(.*\.)?({key})$", module)
bool matches_end(const std::string& key, const std::string& module, const std::string& place) {
  return std::regex_match(module, compiled("(?:.*\\.)?(?:" + key + ")", place));
}

bool ends_in(const std::vector<std::string>& names, const std::string& module) {
  return std::ranges::any_of(names, [&](const std::string& name) {
    return module == name || module.ends_with("." + name);
  });
}

// The number of the block that a module belongs to, as PEFT finds it: the first part of its name
// that is a number and not the last part, behind one of `patterns` or, without any, behind two
// other parts.
std::optional<int64_t> layer_of(const std::string& module, const std::vector<std::string>& patterns,
                                const std::string& place) {
  size_t start = 0;
  for (int part = 0;; ++part) {
    const size_t end = module.find('.', start);
    if (end == std::string::npos) return std::nullopt;
    int64_t number = 0;
    const auto parsed = std::from_chars(module.data() + start, module.data() + end, number);
    const bool is_number = parsed.ec == std::errc() && parsed.ptr == module.data() + end;
    const auto is_behind = [&](const std::string& pattern) {
      return start > 0 && matches_end(pattern, module.substr(0, start - 1), place);
    };
    if (is_number && (patterns.empty() ? part >= 2 : std::ranges::any_of(patterns, is_behind)))
      return number;
    start = end + 1;
  }
}

template <typename T>
T value_for(const std::vector<std::pair<std::string, T>>& patterns, const T& otherwise,
            const std::string& module, const char* field, const std::string& place) {
  const std::pair<std::string, T>* found = nullptr;
  for (const auto& entry : patterns) {
    if (!matches_end(entry.first, module, place)) continue;
    if (found != nullptr && found->second != entry.second)
      fail("adapter", "{}: {} says two things of {}: by '{}' and by '{}'", place, field,
           printable(module), printable(found->first), printable(entry.first));
    found = &entry;
  }
  return found == nullptr ? otherwise : found->second;
}

}  // namespace

AdapterConfig adapter_config_from_json(const Json& json, const std::string& place) {
  if (!json.is_object()) fail("adapter", "{}: is not the configuration of an adapter", place);
  const auto type = get<std::string>(json, "peft_type", place);
  if (type != "LORA")
    fail("adapter", "{}: is a {} adapter; LoRA adapters alone are read", place, printable(type));
  for (const auto& [field, value] : json.items()) {
    if (contains(kUsed, field) || contains(kWithoutEffect, field) || is_off(value)) continue;
    // Settings of an initialisation, which init_lora_weights names.
    if (field == "loftq_config" || field == "corda_config" || field == "lora_ga_config") continue;
    fail("adapter",
         "{}: {} is {}; adapters with it are not read (merge_and_unload of PEFT makes a "
         "model that is)",
         place, printable(field), printable(json_text(value), 60));
  }
  if (const auto found = json.find("init_lora_weights"); found != json.end())
    refuse_initialisation(*found, place);

  AdapterConfig config;
  config.place = place;
  constexpr Range<int64_t> kRanks = {1, 1 << 16};
  config.rank = get_in(json, "r", place, kRanks);
  config.alpha = get<double>(json, "lora_alpha", place);
  config.rank_pattern = patterns_of<int64_t>(json, "rank_pattern", place);
  for (const auto& [key, rank] : config.rank_pattern)
    if (rank < kRanks.low || rank > kRanks.high)
      fail("adapter", "{}: rank_pattern gives '{}' a rank of {}", place, printable(key), rank);
  config.alpha_pattern = patterns_of<double>(json, "alpha_pattern", place);
  const auto flag = [&](const char* field) {
    return get_optional<bool>(json, field, place).value_or(false);
  };
  config.rank_stabilised = flag("use_rslora");
  config.magnitudes = flag("use_dora");
  config.product_bias = flag("lora_bias");
  config.saved_modules = names_of(json, "modules_to_save", place);
  config.targets = targets_of(json, place);
  if (const auto mapping = json.find("auto_mapping"); mapping != json.end() && mapping->is_object())
    config.base_class = get_optional<std::string>(*mapping, "base_model_class", place).value_or("");
  return config;
}

int64_t AdapterConfig::rank_of(const std::string& module) const {
  return value_for(rank_pattern, rank, module, "rank_pattern", place);
}

double AdapterConfig::scale_of(const std::string& module) const {
  const auto r = static_cast<double>(rank_of(module));
  const double a = value_for(alpha_pattern, alpha, module, "alpha_pattern", place);
  return a / (rank_stabilised ? std::sqrt(r) : r);
}

bool AdapterConfig::saves(const std::string& module) const {
  return std::ranges::any_of(saved_modules, [&](const std::string& name) {
    return std::regex_match(module, compiled("(?:.*\\.)?" + name + "(?:\\..*)?", place));
  });
}

bool AdapterConfig::adapts(const std::string& module) const {
  const AdapterTargets& t = targets;
  if (!t.excluded_pattern.empty() && std::regex_match(module, compiled(t.excluded_pattern, place)))
    return false;
  if (ends_in(t.excluded_names, module) || saves(module)) return false;
  if (t.pattern == "all-linear") return true;
  if (!t.pattern.empty()) return std::regex_match(module, compiled(t.pattern, place));
  if (!ends_in(t.names, module)) return false;
  if (t.layers.empty()) return true;
  const std::optional<int64_t> layer = layer_of(module, t.layers_patterns, place);
  return layer && std::ranges::find(t.layers, *layer) != t.layers.end();
}

}  // namespace vitrail
