// The two-layer perceptron of a Transformer block, plain or gated (Shazeer 2020).
#pragma once

#include <optional>
#include <string>

#include "nn/cost.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/variants.h"

namespace vitrail {

struct MlpConfig {
  int64_t inputs = 0, hidden = 0;  // hidden: of one half when gated
  MlpKind kind = MlpKind::plain;
  kernels::Activation activation = kernels::Activation::gelu;
  bool bias = true;
  bool output_bias = true;   // false: fc2 has none, whatever fc1 has
  bool pointwise = false;    // weights have the shape of 1x1 convolutions'
  bool hidden_norm = false;  // a norm over hidden before fc2
  NormKind norm = NormKind::layer;
  double epsilon = 1e-6;
  double dropout = 0;  // after the activation
  bool operator==(const MlpConfig&) const = default;
};

class Mlp {
 public:
  Mlp(const Scope& scope, const MlpConfig& config);
  // [..., D] to [..., D]; fc2 applies the epilogue. Without a tape only some rows of the hidden
  // layer exist at a time.
  Variable forward(const Context& context, const LinearInput& input,
                   const LinearEpilogue& epilogue = {}) const;
  // Over so many tokens.
  LayerCost cost(int64_t tokens) const;

  void visit_linears(const VisitLinear& visit) {
    for (LinearSlot* slot : {&fc1_, &fc1_gate_, &fc1_value_, &fc2_})
      if (slot->present()) visit(*slot);
  }

 private:
  Variable all_rows(const Context& context, const LinearInput& input,
                    const LinearEpilogue& epilogue) const;
  Variable hidden(const Context& context, const LinearInput& input) const;
  MlpConfig config_;
  std::string path_;
  LinearSlot fc1_, fc1_gate_, fc1_value_, fc2_;
  std::optional<LayerNorm> norm_;
};

}  // namespace vitrail
