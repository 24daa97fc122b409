// A library's names of activations, read in both directions from one table.
#pragma once

#include <span>
#include <utility>

#include "models/vit_config.h"

namespace vitrail {

// The first of the names in the table. Error, in the family's name: it has none.
const char* activation_name(std::span<const std::pair<const char*, kernels::Activation>> names,
                            kernels::Activation activation, const char* family);

}  // namespace vitrail
