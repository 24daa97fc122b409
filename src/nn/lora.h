// Low-rank adaptation (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2022): a
// projection that stays as it is, and a learned product of two thin matrices beside it,
// y = x W^T + b + (alpha / r) (x A^T) B^T, A [r, inputs], B [outputs, r].
#pragma once

#include <memory>
#include <string>

#include "nn/linear.h"

namespace vitrail {

struct LoraOptions {
  int64_t rank = 8;
  double alpha = 16;
};

// Stands in the place of a Linear. Its parameters are MODULE.lora_A.weight, drawn as torch draws a
// linear layer's, and MODULE.lora_B.weight, zero, so that nothing changes before training; the
// names are PEFT's.
class LoraLinear : public Linear {
 public:
  // `module` is the path of the projection. Error: a rank below 1 or above the projection's sizes.
  LoraLinear(ParameterRegistry& registry, const std::string& module, std::unique_ptr<Linear> base,
             const LoraOptions& options);

  Variable forward(const Context& context, const LinearInput& input,
                   const LinearEpilogue& epilogue = {}) const override;

  // W + (alpha / r) B A, of W's shape.
  Tensor merged_weight(Queue& queue) const;
  Parameter& a() const { return a_; }
  Parameter& b() const { return b_; }
  // Gives the projection back; this layer must not run afterwards.
  std::unique_ptr<Linear> take_base() { return std::move(base_); }

 private:
  std::unique_ptr<Linear> base_;
  float scale_;
  Parameter& a_;
  Parameter& b_;
};

// W + scale B A: weight of `outputs` rows, a [r, inputs], b [outputs, r].
Tensor add_low_rank(Queue& queue, const Tensor& weight, const Tensor& a, const Tensor& b,
                    double scale);

}  // namespace vitrail
