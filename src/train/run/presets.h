// Presets: recipes as data, the files of presets/. A preset is
//   {"description": "...",
//    "extends": "another",          what it begins with
//    "architecture": "cct_2_3x2",   the model
//    "data": "cifar10",             the kind of data set that it is the default of; "*": any other
//    "settings": {"epochs": 300}}   fields of train/run/config.h or of the model
// all but the description optional.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "train/run/config.h"

namespace vitrail {

struct Preset {
  std::string name, description, architecture, data;
  // In order; later ones win. As --set takes them.
  std::vector<std::pair<std::string, std::string>> settings;
};

// Reads a preset's text. `name` is for messages. Error: not of the form above. Bases are looked up
// among the presets of the program.
Preset parse_preset(const std::string& name, std::string_view text);

// Those of the program, by name.
const std::map<std::string, Preset>& presets();
// Error: no such preset; the message lists those that there are.
const Preset& preset_by_name(const std::string& name);
// The default for a data set's spec, by its kind.
const Preset& preset_for_data(const std::string& data);

// Error: a setting that the configuration does not have, or cannot have.
void apply_settings(TrainConfig& config, const Preset& preset);

}  // namespace vitrail
