// A LoRA adapter that PEFT (huggingface/peft) or Vitrail wrote, put on a base.
#pragma once

#include <filesystem>

#include "models/families/checkpoint.h"

namespace vitrail {

// Makes `checkpoint` answer as with the adapter in `folder` (adapter_config.json with
// adapter_model.safetensors or .bin): its weights are those of the base with the adapter merged.
// Where the adapter brings a head, the head and its labels (labels.json, which Vitrail writes) are
// the adapter's; otherwise the base's stay. What the head's numbers mean is said by answer.json,
// which Vitrail writes too, or `settings` (answer, multi_label). Every field of the configuration
// and every tensor is used, or known to have no effect, or refused by name. Error: an adapter of
// another model.
void apply_adapter(Checkpoint& checkpoint, const std::filesystem::path& folder,
                   const Settings& settings = {});

}  // namespace vitrail
