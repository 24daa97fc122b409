// A module saved whole as JSON (formats/module_fields.h): {"class": ..., "fields": ..., "modules":
// ...}.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "formats/json.h"
#include "formats/tensor_source.h"

namespace vitrail {

// Null: the tensors are of no module that was saved whole.
Json parsed_module(const TensorSource& tensors);
// Empty where there are none.
Json module_fields(const Json& object);
std::string module_class(const Json& object);
// "ViT" of "vit_pytorch.vit.ViT".
std::string last_part(const std::string& dotted);

}  // namespace vitrail
