// What fine-tuning chooses where the options leave it open.
#pragma once

#include <string>

#include "train/finetune/finetune.h"

namespace vitrail {

struct FinetunePlan {
  FinetuneMethod method = FinetuneMethod::full;
  // What would have been trained, where the probe has left nothing to gain: method is then probe.
  std::optional<FinetuneMethod> spared;
  int64_t blocks = 0;  // of partial
  LoraConfig lora;
  TrainConfig config;
  std::string why;  // of the method
};

struct FinetuneFacts {
  int64_t pictures = 0, classes = 0;
  int64_t parameters = 0;
  int64_t multiply_adds = 0;  // of one picture through the frozen model (Network::cost)
  int64_t processes = 1;      // among which a batch must divide
  Measured probe;             // on the validation pictures
};

// The machine that `minutes` are counted on, so that the same command chooses the same on every
// machine, however busy it is: a hundred billion multiply-adds a second, about what two cores with
// AVX2 come to.
inline constexpr double kNominalRate = 1e11;

// Whether the probe has won: these validation pictures could not show that a model without any
// mistake is better, since the 95% interval of its accuracy (wilson_interval) contains the probe's.
// With fewer than thirty pictures that interval contains almost anything, so the probe must make no
// mistake. With several classes a picture it never wins: mAP has no such interval.
bool has_won(const Measured& probe);

// Error: a setting that no field has.
FinetunePlan plan_finetune(const NetworkConfig& model, const FinetuneOptions& options,
                           const FinetuneFacts& facts);

}  // namespace vitrail
