// What a module saved whole (torch.save(model)) says of itself, beside its weights: timm's by its
// own attributes and those of the modules in it, transformers' by its config. Nothing of it is run;
// a class that is not known stays a name.
#pragma once

#include <nlohmann/json.hpp>

#include "formats/tensor_source.h"
#include "models/families/draft.h"

namespace vitrail {

// What messages call it.
inline constexpr const char* kModuleConfig = "the module's config";
inline constexpr const char* kModulePlace = "the module itself";

// The configuration in one of transformers' modules, as its config.json would be; null: the tensors
// are no module of theirs, or it holds none.
nlohmann::json config_of_module(const TensorSource& tensors);

// Of timm's VisionTransformer: heads, activation, epsilon, pooling, sizes, preprocessing. Of any
// other file: nothing. Error: a part of a class that computes what Vitrail does not, or parts that
// differ where Vitrail has one value.
void settle_from_module(ConfigDraft& draft, const TensorSource& tensors);

}  // namespace vitrail
