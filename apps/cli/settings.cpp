#include "apps/cli/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "apps/cli/common.h"
#include "core/nearest.h"
#include "core/printable.h"
#include "models/setting_names.h"
#include "train/run/config.h"

namespace vitrail::cli {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// Whether a verb that opens a model and trains it takes this as a field of the training.
bool belongs_to_training(const std::string& name) {
  constexpr std::array<std::string_view, 5> kActInTrainingAlone = {
      "position_dropout", "dropout", "attention_dropout", "drop_path", "drop_path_constant"};
  if (std::ranges::find(kActInTrainingAlone, name) != kActInTrainingAlone.end()) return true;
  return name != "mean" && name != "std" && contains(own_train_setting_names(), name);
}

std::vector<std::string> names_of(SettingsOf what) {
  if (what == SettingsOf::model) return checkpoint_setting_names();
  std::vector<std::string> names = train_setting_names();
  if (what == SettingsOf::both)
    for (const std::string& name : checkpoint_setting_names())
      if (!contains(names, name)) names.push_back(name);
  return names;
}

// Empty: nothing is wrong with it.
std::string mistake(const std::string& setting, SettingsOf what) {
  const size_t split = setting.find('=');
  if (split == std::string::npos || split == 0)
    return fmt::format("takes KEY=VALUE, not '{}'", printable(setting));
  const std::string name = setting.substr(0, split), value = setting.substr(split + 1);
  const std::vector<std::string> names = names_of(what);
  if (!contains(names, name))
    return fmt::format("there is no field '{}'{}", printable(name),
                       did_you_mean_or_all(name, names));
  const bool of_training =
      what == SettingsOf::training || (what == SettingsOf::both && belongs_to_training(name));
  if (!of_training) return "";  // its value is judged when the model is opened, which takes no time
  try {
    TrainConfig config;
    set_field(config, name, value);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

const char* description(SettingsOf what) {
  switch (what) {
    case SettingsOf::model:
      return "KEY=VALUE, a field of the model that its files leave open, such as num_heads=4";
    case SettingsOf::training:
      return "KEY=VALUE, a field of the training, its augmentation or its model, such as "
             "drop_path=0.1: those that train.json shows";
    case SettingsOf::both:
      return "KEY=VALUE, a field of the training or its augmentation, such as clip_norm=5, or of "
             "the model that its files leave open, such as num_heads=4";
  }
  return "";
}

}  // namespace

void add_set_option(CLI::App& verb, std::vector<std::string>& settings, SettingsOf what) {
  verb.add_option("--set", settings, description(what))
      ->allow_extra_args(false)
      ->check([what](const std::string& text) { return mistake(text, what); });
}

Settings parse_settings(const std::vector<std::string>& settings) {
  Settings pairs;
  for (const std::string& setting : settings) {
    const size_t split = setting.find('=');
    if (split == std::string::npos || split == 0)
      throw BadUsage(fmt::format("--set takes KEY=VALUE, not '{}'", setting));
    pairs.emplace_back(setting.substr(0, split), setting.substr(split + 1));
  }
  return pairs;
}

SharedSettings shared_settings(const std::vector<std::string>& settings) {
  SharedSettings shared;
  for (const std::string& setting : settings) {
    Settings one = parse_settings({setting});
    if (belongs_to_training(one.front().first))
      shared.training.push_back(std::move(one.front()));
    else
      shared.model.push_back(setting);
  }
  return shared;
}

}  // namespace vitrail::cli
