// What to train with: a preset, or when the command names none that of the kind of data set.
#pragma once

#include <string>

#include "train/run/config.h"

namespace vitrail {

struct RecipeChoice {
  std::string architecture;  // models/architectures.h; empty: the preset's
  std::string preset;        // train/run/presets.h; empty: the data set's own
};

// The configuration for a data set, with its channels, picture size and classes. Opens the set to
// learn its shape. Of several classes a picture each is learned as a question of its own (loss bce,
// no label smoothing). Error: an unknown spec, architecture or preset.
TrainConfig recipe_for(const std::string& data, const RecipeChoice& choice = {});
inline TrainConfig recipe_for(const std::string& data, const std::string& architecture) {
  return recipe_for(data, RecipeChoice{.architecture = architecture, .preset = {}});
}

}  // namespace vitrail
