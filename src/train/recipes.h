// Recipes: what to train with when the command says nothing, for each kind of data set.
#pragma once

#include <string>

#include "train/config.h"

namespace vitrail {

// The configuration for a data set: architecture (the recipe's own when `architecture` is empty,
// else models/architectures.h) with the set's channels, picture size and classes; recipes for
// fashion-mnist, mnist, cifar10, scenes, and for folders of photographs. Opens the set to learn its
// shape. Error: an unknown spec or architecture.
TrainConfig recipe_for(const std::string& data, const std::string& architecture = "");

}  // namespace vitrail
