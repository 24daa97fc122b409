// What timm builds of a definition and its model_args, and whether a file's tensors are those of
// it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "models/families/reading/draft.h"
#include "models/families/timm/timm_constructor.h"

namespace vitrail {

// The model that timm's constructor makes: `arguments` (model_args) replace what the definition
// says. Error: a value that Vitrail does not implement.
VitConfig timm_model(const VitConfig& definition, const nlohmann::json& arguments,
                     const std::string& place);
// What its global_pool and pool_include_prefix mean. Error: as above.
Pooling timm_pooling(const VitConfig& model, const std::string& global_pool, bool include_prefix,
                     const std::string& place);
// timm's name of an activation. Error: it has none.
const char* timm_activation_name(Activation activation);
// Error: an argument says something else than the tensors.
void check_arguments(const ConfigDraft& draft, const nlohmann::json& arguments,
                     const std::string& place, const TimmConstructor& constructor);

}  // namespace vitrail
