#include "train/run/recipes.h"

#include "models/architectures.h"
#include "train/run/presets.h"

namespace vitrail {
namespace {

// What is the pictures' own, whatever the recipe: their mean and deviation.
Preset normalisation_of(Preset preset) {
  std::erase_if(preset.settings, [](const auto& setting) {
    return setting.first != "mean" && setting.first != "std";
  });
  return preset;
}

}  // namespace

TrainConfig recipe_for(const std::string& data, const RecipeChoice& choice) {
  const Preset& own = preset_for_data(data);
  const Preset* chosen = choice.preset.empty() ? nullptr : &preset_by_name(choice.preset);
  const std::unique_ptr<Dataset> set = open_dataset(data, Split::all);
  TrainConfig config;
  config.data = data;
  const std::string architecture = !choice.architecture.empty() ? choice.architecture
                                   : chosen != nullptr && !chosen->architecture.empty()
                                       ? chosen->architecture
                                       : own.architecture;
  config.model = architecture_config(architecture);
  const bool several = set->multi_label();
  config.model.set_class_answer({.classes = set->num_classes(),
                                 .meaning = several ? Answer::sigmoid : Answer::softmax,
                                 .multi_label = several});
  // Photographs of any size are cropped to the one that the architecture was made for.
  if (set->width() > 0)
    config.model.set_pictures({.channels = config.model.pictures().channels,
                               .height = set->width(),
                               .width = set->width()});
  apply_settings(config, chosen == nullptr ? own : normalisation_of(own));
  if (chosen != nullptr) apply_settings(config, *chosen);
  if (several) {
    config.loss = "bce";
    config.label_smoothing = 0;
  }
  return config;
}

}  // namespace vitrail
