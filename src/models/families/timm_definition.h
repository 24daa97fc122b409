// What timm builds of a definition and its model_args, and whether a file's tensors are those of
// it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "models/families/draft.h"

namespace vitrail {

// The model that timm's constructor makes: `arguments` (model_args) replace what the definition
// says. Error: a value that Vitrail does not implement.
VisionTransformerConfig timm_model(const VisionTransformerConfig& definition,
                                   const nlohmann::json& arguments, const std::string& place);
// What its global_pool and pool_include_prefix mean. Error: as above.
Pooling timm_pooling(const VisionTransformerConfig& model, const std::string& global_pool,
                     bool include_prefix, const std::string& place);
// Error: an argument says something else than the tensors.
void check_arguments(const ConfigDraft& draft, const nlohmann::json& arguments,
                     const std::string& place);

// The first field in which the tensors differ from `model`, in words: "embed_dim 192, and the
// tensors have 96"; empty when they are its own. The number of classes, the channels of pictures
// and their size are not compared: they change without another definition.
std::string difference(const ConfigDraft& draft, const VisionTransformerConfig& model);

// What names and shapes leave open, from a model whose tensors these are.
void settle_from_model(ConfigDraft& draft, const VisionTransformerConfig& model,
                       const std::string& source);

}  // namespace vitrail
