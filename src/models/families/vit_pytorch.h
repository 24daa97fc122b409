// What the families of vit-pytorch's ViT and SimpleViT have in common: names of a block, of patches
// between norms, and the arguments of the constructors. Internal to them.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "models/families/names.h"
#include "models/families/reading/draft.h"
#include "models/families/reading/fields.h"

namespace vitrail {

inline constexpr std::string_view kVitPytorchMark = "to_patch_embedding.1.weight";
inline constexpr double kVitPytorchEpsilon = 1e-5;  // of torch's LayerNorm

// Norms within the modules; of another age, a PreNorm around them.
std::span<const NameRow> vit_pytorch_rows();
// The patch embedding between norms.
std::span<const NameRow> vit_pytorch_normed_patches();

// Arguments of a constructor of vit-pytorch, as a configuration holds them. Error: a field that
// `more` and the common ones do not name, one that contradicts the tensors.
void settle_from_vit_pytorch(ConfigDraft& draft, const nlohmann::json& config,
                             const std::string& place, std::span<const FieldRule> more);

}  // namespace vitrail
