// Low-rank adapters on a model: put on, trained with everything else frozen, merged into the
// weights, or written apart in the form that PEFT reads.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "formats/tensor_source.h"
#include "models/network.h"
#include "nn/lora.h"

namespace vitrail {

struct LoraConfig {
  int64_t rank = 8;
  double alpha = 16;
  std::vector<std::string> targets = {"qkv", "proj", "fc1", "fc2"};  // last parts of the paths
};

// Puts an adapter around each projection of the blocks whose path ends in a target, gives it its
// initial value, and freezes everything but the adapters and the heads. Returns how many there are.
// Error: none of the targets is there, a rank that does not fit.
int64_t add_lora(Network& model, const LoraConfig& config, uint64_t seed);

// Adds the adapters into the weights and takes them off: the answers stay as they are.
void merge_lora(Queue& queue, Network& model);

// The weights of the model without adapters that answers alike, under canonical names; those
// without an adapter share memory.
NamedTensors merged_weights(const Network& model);

struct AdapterFile {
  LoraConfig config;
  std::string base_model;           // what the adapter belongs to, for people
  std::vector<std::string> labels;  // of the head that is saved along
};
// adapter_model.safetensors and adapter_config.json, as PEFT has them: the adapters and the heads.
// Beside them, for PEFT has no place for it, labels.json, an array of the classes' names, and
// answer.json, what the head's numbers mean (models/families/answer_rules.h).
void write_adapter(const std::filesystem::path& folder, const Network& model,
                   const AdapterFile& file);

}  // namespace vitrail
