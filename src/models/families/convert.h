// Writing a model under another family's names, so that the family's own library loads it and
// answers alike.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "formats/tensor_source.h"
#include "models/families/checkpoint.h"

namespace vitrail {

// A model in a form that a family can express, under canonical names.
struct Adapted {
  NetworkConfig config;
  std::map<std::string, Tensor> tensors;
  // What the target says differently, so that the way back gives other bytes with equal answers.
  std::vector<std::string> folds;
};

// Error naming what the family cannot express.
Adapted adapt(const NetworkConfig& config, const TensorSource& canonical, const Family* target);

// A family by its name, or the one of a group ("hf") that a model of this configuration belongs to.
const Family* conversion_target(const std::string& name, const NetworkConfig& config);

struct ConversionOptions {
  const Family* target = own_family();
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

// Writes model.safetensors, config.json and the family's file of preprocessing, where it has one,
// into `folder`, which is made when it is missing; each file is written atomically, the weights
// last. Tensors keep their dtype. Errors: what the target cannot express; the folder cannot be
// written.
ConversionReport write_converted(const std::filesystem::path& folder, const Checkpoint& checkpoint,
                                 const ConversionOptions& options);

// A canonical tensor as the parts that the rule names, cut along the first axis in equal pieces.
NamedTensors split_parts(const WeightRule& rule, const Tensor& tensor);

}  // namespace vitrail
