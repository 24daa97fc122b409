// The files of presets/, which the build turns into strings of the program.
#pragma once

#include <string_view>
#include <vector>

namespace vitrail {

struct PresetFile {
  std::string_view name;  // without .json
  std::string_view text;
};
extern const std::vector<PresetFile> kPresetFiles;  // ascending by name

}  // namespace vitrail
