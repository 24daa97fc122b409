// A file with what stands beside it, and what a family reads of both.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/families/checkpoint_info.h"
#include "models/families/config_form.h"

namespace vitrail {

// What stands beside the tensors.
struct CheckpointFiles {
  nlohmann::json config;                              // config.json; null: none
  nlohmann::json preprocessor;                        // preprocessor_config.json; null: none
  std::filesystem::path labels_file;                  // empty: none
  std::shared_ptr<TensorSource> gaussians = nullptr;  // kRejectionFile; null: none
  std::string config_name = "config.json";            // what messages call `config`
};

struct FileReading {
  const TensorSource& tensors;
  const Spelling& spelling;
  const CheckpointFiles& files;
  const Settings& settings;
  bool require_preprocess = true;

  bool has_config() const { return files.config.is_object(); }
};

struct ReadModel {
  NetworkConfig config;
  std::vector<Provenance> sources;
  PreprocessKind preprocess_kind = PreprocessKind::none;
  nlohmann::json preprocess;
};

}  // namespace vitrail
