#include "train/run/presets.h"

#include <algorithm>

#include "core/error.h"
#include "core/nearest.h"
#include "formats/json.h"
#include "formats/json_text.h"
#include "train/run/preset_files.h"

namespace vitrail {
namespace {

constexpr int kMaxBases = 8;  // files that extend each other in a ring end here

// A value as --set takes it.
std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return json_text(value);
  std::string text;
  for (const Json& element : value) {
    if (!text.empty()) text += ",";
    text += json_text(element);
  }
  return text;
}

const PresetFile& file_of(const std::string& name) {
  const auto found = std::ranges::find(kPresetFiles, name, &PresetFile::name);
  if (found != kPresetFiles.end()) return *found;
  std::vector<std::string> known;
  for (const PresetFile& file : kPresetFiles) known.emplace_back(file.name);
  fail("preset", "there is no preset '{}'{}", name, did_you_mean_or_all(name, known));
}

Preset parse(const std::string& name, std::string_view text, int bases) {
  const std::string place = "preset " + name;
  check(bases <= kMaxBases, "preset", "{}: more than {} presets extend each other", name,
        kMaxBases);
  const Json json = parse_json(text, place);
  check(json.is_object(), "preset", "{}: must be a JSON object", name);
  Preset preset;
  if (const auto base = get_optional<std::string>(json, "extends", place))
    preset = parse(*base, file_of(*base).text, bases + 1);
  preset.name = name;
  preset.data.clear();  // a default is not inherited
  preset.description = get<std::string>(json, "description", place);
  if (auto value = get_optional<std::string>(json, "architecture", place))
    preset.architecture = *value;
  if (auto value = get_optional<std::string>(json, "data", place)) preset.data = *value;
  for (const auto& item : json.items()) {
    if (item.key() != "settings") {
      const bool known = item.key() == "extends" || item.key() == "description" ||
                         item.key() == "architecture" || item.key() == "data";
      check(known, "preset", "{}: there is no field '{}'", name, item.key());
      continue;
    }
    check(item.value().is_object(), "preset", "{}: settings must be an object", name);
    for (const auto& setting : item.value().items())
      preset.settings.emplace_back(setting.key(), text_of(setting.value()));
  }
  return preset;
}

}  // namespace

Preset parse_preset(const std::string& name, std::string_view text) {
  return parse(name, text, 0);
}

const std::map<std::string, Preset>& presets() {
  static const std::map<std::string, Preset> all = [] {
    std::map<std::string, Preset> found;
    for (const PresetFile& file : kPresetFiles) {
      const std::string name(file.name);
      found.emplace(name, parse_preset(name, file.text));
    }
    return found;
  }();
  return all;
}

const Preset& preset_by_name(const std::string& name) {
  const auto found = presets().find(name);
  if (found == presets().end()) file_of(name);  // says what there is
  return found->second;
}

const Preset& preset_for_data(const std::string& data) {
  const std::string kind = data.substr(0, data.find(':'));
  const Preset* any = nullptr;
  for (const auto& [name, preset] : presets()) {
    if (preset.data == kind) return preset;
    if (preset.data == "*") any = &preset;
  }
  check(any != nullptr, "preset", "no preset is the default of '{}'", kind);
  return *any;
}

void apply_settings(TrainConfig& config, const Preset& preset) {
  for (const auto& [name, value] : preset.settings) set_field(config, name, value);
}

}  // namespace vitrail
