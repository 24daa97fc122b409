// The folder that every verb takes for --model, in our own form: model.safetensors and config.json.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/precision.h"
#include "formats/tensor_source.h"
#include "models/network.h"
#include "models/rejection.h"

namespace vitrail {

struct ModelFolder {
  const Network& network;
  nlohmann::json preprocess;            // in our form (image/preprocess/preprocess.h: to_json)
  std::vector<std::string> labels;      // in the order of the logits; empty: unknown
  std::vector<std::string> wnids = {};  // their WordNet identifiers, where they are known
  // Weights of projections are stored as they will run: f32, bf16, or 8 bits with their scales.
  PrecisionPlan precision = {};
  std::optional<Rejection> rejection = std::nullopt;
  std::map<std::string, std::string> metadata = {};  // more of it, for model.safetensors
};

// LoRA adapters are merged. Each file appears whole or not at all; the folder must exist. Error: it
// cannot be written.
void write_model_folder(const std::filesystem::path& folder, const ModelFolder& model);

// Puts it into a model folder's configuration, and what it needs besides into the folder.
void store_rejection(const Rejection& rejection, const std::filesystem::path& folder,
                     nlohmann::json& config);

// A model's weights under their paths, sharing its memory.
NamedTensors weights_of(const Network& model, const std::string& prefix = "");

}  // namespace vitrail
