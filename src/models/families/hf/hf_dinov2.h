// How transformers' DINOv2, and what follows it, says the width of its MLP: by a ratio, and by a
// rule of its own for SwiGLU.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "models/vit_config.h"

namespace vitrail {

// Error: mlp_ratio or use_swiglu_ffn says something else than the tensors.
void check_dinov2_mlp(const VitConfig& config, const nlohmann::json& fields,
                      const std::string& place);
// Writes mlp_ratio, use_swiglu_ffn and layerscale_value instead of intermediate_size. Error: no
// whole ratio gives this width.
void add_dinov2_mlp(const VitConfig& config, nlohmann::json& out);

}  // namespace vitrail
