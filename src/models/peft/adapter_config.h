// adapter_config.json of PEFT (huggingface/peft), as a closed list: each field is used, is known to
// have no effect on an answer, or is refused by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "formats/json.h"

namespace vitrail {

// Which modules PEFT adapts: names that end in one of a list, or a regular expression over the
// whole name; without those excluded, those saved whole, and blocks that are not asked for.
struct AdapterTargets {
  std::vector<std::string> names;
  std::string pattern;  // instead of names, where it is not empty; "all-linear": every projection
  std::vector<std::string> excluded_names;
  std::string excluded_pattern;
  std::vector<int64_t> layers;  // empty: all
  std::vector<std::string> layers_patterns;
};

struct AdapterConfig {
  int64_t rank = 8;
  double alpha = 8;
  // By a pattern of modules' names; what no pattern matches has `rank` and `alpha`.
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  bool rank_stabilised = false;            // use_rslora: alpha / sqrt(r), Kalajdzievski 2023
  bool magnitudes = false;                 // use_dora: Liu et al., "DoRA", 2024, equation 5
  bool product_bias = false;               // lora_bias: the product has a bias of its own
  std::vector<std::string> saved_modules;  // modules_to_save: kept whole, not adapted
  AdapterTargets targets;
  std::string base_class;  // of auto_mapping, for messages
  std::string place;       // the file, for messages

  // Of a module by its name in the model that was adapted. Error: two patterns that match it with
  // different values (PEFT takes the one that stands first in the file).
  int64_t rank_of(const std::string& module) const;
  // The factor of B A: alpha / r, or alpha / sqrt(r).
  double scale_of(const std::string& module) const;
  // Whether PEFT puts an adapter there. Error: a pattern that is no regular expression.
  bool adapts(const std::string& module) const;
  bool saves(const std::string& module) const;
};

// Error, naming the field: a value that changes answers in a way that cannot be honoured, a field
// that is not known, another kind of adapter than LoRA.
AdapterConfig adapter_config_from_json(const Json& json, const std::string& place);

}  // namespace vitrail
