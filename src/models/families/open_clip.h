// Files of OpenCLIP, and of OpenAI's CLIP (Radford et al. 2021): two towers in one file, of which
// the one of pictures is read, under timm's names and with a config.json as timm would write it;
// timm's own loader reads them so. Its tower is OpenCLIP's VisionTransformer or a trunk of timm's.
//
// classify gives the projection that encode_image() has before it is normalised, whose answer is
// raw; embed the tokens and the pooled vector before it.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "formats/tensor_source.h"

namespace vitrail {

inline constexpr const char* kOpenClipConfig = "open_clip_config.json";
// Metadata of such a tower's tensors: the head is a projection, whose answer is raw.
inline constexpr const char* kProjectionHead = "open_clip.projection";

struct ClipTower {
  std::shared_ptr<TensorSource> tensors;
  nlohmann::json config;    // null: nothing says more than names and shapes
  std::string config_name;  // what messages call it
};

// Whether the names are those of a whole CLIP, or of its tower of pictures alone.
bool has_clip_names(const TensorSource& tensors);

// The tower of a file that has such names; nothing: it has not. `config`: open_clip_config.json, or
// whatever stands beside the file; what is no configuration of OpenCLIP's is refused. Errors: a
// tower that is not a plain Vision Transformer (ResNet, CoCa's pooling), a field that is not known.
std::optional<ClipTower> clip_tower(const std::shared_ptr<TensorSource>& tensors,
                                    const nlohmann::json& config, const std::string& config_name);

}  // namespace vitrail
