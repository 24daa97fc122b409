// Whose config.json stands beside a file, and whether it names a model that Vitrail implements:
// what a file says of itself comes before what its tensors' names look like.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "models/families/draft.h"

namespace vitrail {

enum class ConfigKind : uint8_t {
  none,          // there is no config.json
  timm,          // an architecture, with pretrained_cfg; or transformers' wrapper of timm
  transformers,  // a model_type
  vitrail,       // every field of the model
  arguments,     // anything else: a constructor's arguments, as hub mixins write them
};

ConfigKind kind_of(const nlohmann::json& config);
// Error naming the `architecture` or `model_type` when Vitrail has no such model. A name of one's
// own is let through where --set architecture says which definition it is.
void refuse_unknown_model(const nlohmann::json& config, const Settings& settings);
// The name without its tag ("vit_tiny_patch16_224.augreg_in21k"); "" where there is none.
std::string timm_architecture_of(const nlohmann::json& config);
// Error: the config belongs to a library whose names the file does not have.
void check_kind(ConfigKind kind, Family family, const std::string& place);

// What timm's definition of this name needs that Vitrail has not ("rotary positions"); null when it
// is no such name.
const char* missing_of_timm(std::string_view architecture);

}  // namespace vitrail
