// What is known about a checkpoint that was opened, and from where.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/precision.h"
#include "models/families/family.h"
#include "models/rejection.h"
#include "models/vit_config.h"

namespace vitrail {

// Where a field of the configuration came from: "config.json", "shapes", "--set", ...
struct Provenance {
  std::string field;
  std::string value;
  std::string source;
};

struct CheckpointInfo {
  const Family* family = own_family();
  NetworkConfig config = VitConfig();
  PrecisionPlan precision;  // of a quantized checkpoint
  std::vector<WeightRule> weights;

  PreprocessKind preprocess_kind = PreprocessKind::none;
  nlohmann::json preprocess;  // in that library's form
  std::string model_type;     // transformers' name, for its image processor's defaults

  std::vector<std::string> labels;     // empty: unknown; else one for each class
  std::vector<std::string> wnids;      // WordNet identifiers of the classes, where they are known
  std::optional<Rejection> rejection;  // of a calibrated classifier
  std::filesystem::path labels_file;   // stands in the folder when the configuration has no labels
  std::vector<Provenance> sources;
  std::vector<std::string> left_out;  // tensors that no answer depends on, and why
  std::vector<std::string> notes;     // what reading the file had to choose
  std::vector<std::string> warnings;
};

// Where the answer-changing fields that a file's tensors leave open came from, in one line:
// "num_heads and pooling from --set; preprocessing from config.json". "" when the file's own
// configuration holds every field.
std::string origin_of(const CheckpointInfo& info);

}  // namespace vitrail
