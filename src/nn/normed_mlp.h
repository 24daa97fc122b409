// The perceptron of a block, each of its layers with batch normalisation (Graham et al. 2021,
// LeViT, section 4.6).
#pragma once

#include <string>

#include "nn/batch_norm.h"
#include "nn/cost.h"

namespace vitrail {

struct NormedMlpConfig {
  int64_t inputs = 0, hidden = 0;
  kernels::Activation activation = kernels::Activation::hard_swish;
  bool pointwise = false;  // as Linear's
};

class NormedMlp {
 public:
  // Parameters: ln1.{linear, bn}, ln2.{linear, bn}.
  NormedMlp(const Scope& scope, const NormedMlpConfig& config);
  // [B, N, D] to the same; the epilogue follows the second normalisation.
  Variable forward(const Context& context, const Variable& x, const LinearEpilogue& epilogue) const;
  // Over so many tokens.
  LayerCost cost(int64_t tokens) const;
  void visit_linears(const VisitLinear& visit) {
    ln1_.visit_linears(visit);
    ln2_.visit_linears(visit);
  }

 private:
  NormedMlpConfig config_;
  std::string path_;
  NormedLinear ln1_, ln2_;
};

}  // namespace vitrail
