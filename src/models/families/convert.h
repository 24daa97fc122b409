// Writing a model under another family's names, so that the family's own library loads it and
// answers alike.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "formats/tensor_source.h"
#include "models/families/checkpoint.h"

namespace vitrail {

// A model in a form that a family can express, under canonical names.
struct Adapted {
  VisionTransformerConfig config;
  std::map<std::string, Tensor> tensors;
  // What the target says differently, so that the way back gives other bytes with equal answers.
  std::vector<std::string> folds;
};

// Error naming what the family cannot express.
Adapted adapt(const VisionTransformerConfig& config, const TensorSource& canonical, Family target);

// "timm", "dinov2", ..., and "hf" for whichever of transformers' families the model belongs to.
Family conversion_target(const std::string& name, const VisionTransformerConfig& config);

struct ConversionOptions {
  Family target = Family::vitrail;
  // In the target's form: timm's pretrained_cfg, transformers' preprocessor_config.json, or
  // Vitrail's block (for the others, whose families have none). Null: unknown.
  nlohmann::json preprocess;
  std::vector<std::string> labels, wnids;
};

struct ConversionReport {
  std::vector<std::string> folds;     // see Adapted
  std::vector<std::string> left_out;  // tensors of the source that the target has no place for
  std::vector<std::filesystem::path> files;
};

// Writes model.safetensors, config.json and, for transformers, preprocessor_config.json into
// `folder`, which is made when it is missing; each file is written atomically, the weights last.
// Tensors keep their dtype. Errors: what the target cannot express; the folder cannot be written.
ConversionReport write_converted(const std::filesystem::path& folder, const Checkpoint& checkpoint,
                                 const ConversionOptions& options);

// config.json of a model: in timm's form, transformers' or Vitrail's own. `folds` gets what the
// form's own library does not read of it.
nlohmann::json config_for(const VisionTransformerConfig& config, const ConversionOptions& options,
                          std::vector<std::string>& folds);

// A canonical tensor as the parts that the rule names, cut along the first axis in equal pieces.
NamedTensors split_parts(const WeightRule& rule, const Tensor& tensor);

}  // namespace vitrail
