// What fine-tuning chooses when nobody says it.
#pragma once

#include <string>

#include "train/finetune.h"

namespace vitrail {

struct FinetunePlan {
  FinetuneMethod method = FinetuneMethod::full;
  int64_t blocks = 0;  // of partial
  LoraConfig lora;
  TrainConfig config;
  std::string why;  // of the method
};

struct FinetuneFacts {
  int64_t pictures = 0, classes = 0;
  int64_t parameters = 0;
  double forward_rate = 0;  // pictures a second through the frozen model, measured
  int64_t processes = 1;    // among which a batch must divide
};

// Error: a setting that no field has.
FinetunePlan plan_finetune(const VisionTransformerConfig& model, const FinetuneOptions& options,
                           const FinetuneFacts& facts);

}  // namespace vitrail
