// timm's config.json: an architecture by name, with pretrained_cfg; or transformers' wrapper of
// one.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace vitrail {

// The name without its tag ("vit_tiny_patch16_224.augreg_in21k"); "" where there is none.
std::string timm_architecture_of(const nlohmann::json& config);

// What timm's definition of this name needs that Vitrail has not ("rotary positions"); null when it
// is no such name.
const char* missing_of_timm(std::string_view architecture);

}  // namespace vitrail
