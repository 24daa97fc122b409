// --set KEY=VALUE: one notion for all verbs. It names a field of what the verb makes: of the model
// that it opens, of the training that it runs, or of either. docs/SETTINGS.md has the table.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "apps/cli/command_line.h"

namespace vitrail::cli {

using Settings = std::vector<std::pair<std::string, std::string>>;

enum class SettingsOf : uint8_t {
  model,     // what a checkpoint leaves open
  training,  // of the training, its augmentation, and the model that it makes
  both       // a verb that opens a model and trains it
};

// A name that there is not, with the nearest one, and a value that a field of the training cannot
// have are refused while the arguments are read.
void add_set_option(CLI::App& verb, std::vector<std::string>& settings, SettingsOf what);

// "key=value" pairs. Throws BadUsage: no '='.
Settings parse_settings(const std::vector<std::string>& settings);

// Of a verb that opens a model and trains it: whose field each is. A checkpoint brings its own
// preprocessing, so mean and std are the model's.
struct SharedSettings {
  std::vector<std::string> model;  // as they were given
  Settings training;
};
SharedSettings shared_settings(const std::vector<std::string>& settings);

}  // namespace vitrail::cli
