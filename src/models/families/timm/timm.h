// timm's config.json: what it says and how one is written. The family's classes are in timm.cpp and
// timm_network.h.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/families/convert.h"
#include "models/families/reading/draft.h"
#include "models/families/reading/fields.h"
#include "models/families/timm/timm_constructor.h"

namespace vitrail {

// What config.json says. `place` names it. Errors: a field or value that Vitrail does not know, one
// that contradicts the tensors, and what Vitrail does not have.
void settle_from_timm(ConfigDraft& draft, const nlohmann::json& config, const std::string& place,
                      const TimmConstructor& constructor);
// config.json in its three parts; the latter two are objects.
struct TimmConfig {
  std::string architecture;
  nlohmann::json arguments, pretrained;
};
// Error: a field that timm's files do not have; an argument that is not of the list.
TimmConfig read_timm_parts(const nlohmann::json& config, const std::string& place,
                           const FieldList& arguments);
// Error: a field that timm's PretrainedCfg does not have.
void check_timm_pretrained(const nlohmann::json& pretrained, const std::string& place);

// The preprocessing of timm's pretrained_cfg; model_args say more of the size.
struct TimmPictures {
  PictureInput pictures;  // of the model
  const nlohmann::json& pretrained;
  const nlohmann::json& arguments;
  const std::string& place;
};
void add_timm_preprocess(ReadingDraft& draft, const TimmPictures& said);

// What the answer of the head means: timm says nothing of it; our own word does, and transformers'
// problem_type where somebody wrote it.
void settle_timm_answer(ReadingDraft& draft, const nlohmann::json& config,
                        const std::string& place);

// What timm calls the pooling: token, avg, map.
const char* timm_pool_name(Pooling pooling);

// The definition whose hybrid has this residual network; null: none has.
const char* timm_hybrid_of(const VitConfig& config);

// config.json as timm reads it, and in `folds` what it does not read of it.
struct TimmExport {
  std::string architecture;
  nlohmann::json arguments;  // model_args
  const char* global_pool = "avg";
  int64_t features = 0;  // width of what the head reads
  const char* first_convolution = "patch_embed.proj";
  nlohmann::json classifier = "head";
};
nlohmann::json timm_config_json(TimmExport model, const NetworkConfig& config,
                                const ConversionOptions& options, std::vector<std::string>& folds);
// The same of a plain Vision Transformer.
nlohmann::json timm_config(const VitConfig& config, const ConversionOptions& options,
                           std::vector<std::string>& folds);

}  // namespace vitrail
