// OpenCLIP's open_clip_config.json as the config.json that timm would write of its tower of
// pictures. Internal to open_clip.cpp.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace vitrail {

// Whether the norm behind the blocks is of the pooled vector alone.
bool clip_norm_after_pooling(const nlohmann::json& config);

// Of OpenCLIP's own VisionTransformer. Error: a field that Vitrail does not know or implement.
nlohmann::json timm_config_of_clip(const nlohmann::json& config, const std::string& place);

// Of a trunk of timm's, whose norms the tensors say. Error: likewise, and a trunk that is no plain
// Vision Transformer.
struct TrunkNorms {
  bool norm = false, fc_norm = false;
};
nlohmann::json timm_config_of_trunk(const nlohmann::json& config, const std::string& place,
                                    TrunkNorms norms);

// Of a file of OpenAI's: QuickGELU, heads of 64, its own statistics of channels.
struct OpenAiSizes {
  int64_t width = 0, patch = 0, image = 0, hidden = 0, output = 0;
  int64_t layers = 0;
};
nlohmann::json timm_config_of_openai(const OpenAiSizes& sizes);

}  // namespace vitrail
