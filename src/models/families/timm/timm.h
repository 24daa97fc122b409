// timm's ViT: what its config.json says and how one is written. The family's class is in timm.cpp.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/families/convert.h"
#include "models/families/reading/draft.h"

namespace vitrail {

// What config.json says. `place` names it. Errors: a field or value that Vitrail does not know, one
// that contradicts the tensors, and what Vitrail does not have.
void settle_from_timm(ConfigDraft& draft, const nlohmann::json& config, const std::string& place);
// Error: a field that timm's PretrainedCfg does not have.
void check_timm_pretrained(const nlohmann::json& pretrained, const std::string& place);
// The preprocessing of timm's pretrained_cfg; `arguments` (model_args) say more of the size.
void add_timm_preprocess(ConfigDraft& draft, const nlohmann::json& pretrained,
                         const nlohmann::json& arguments, const std::string& place);

// config.json as timm reads it, and in `folds` what it does not read of it.
nlohmann::json timm_config(const VisionTransformerConfig& config, const ConversionOptions& options,
                           std::vector<std::string>& folds);

}  // namespace vitrail
