// The updates of single parameters, as the optimizers put them together. Not for other layers.
#pragma once

#include "kernels/adamw.h"
#include "train/optimizer/optimizer.h"

namespace vitrail {

struct UpdateOf {
  const OptimizerOptions& options;
  const Trained& trained;
  double learning_rate, gradient_scale;
  int64_t step;  // counts from 1
};

kernels::AdamWArgs adamw_args(const Parameter& parameter, const Tensor& first, const Tensor& second,
                              const UpdateOf& update);

// One step of Muon, for a parameter whose role says what it is to be taken as (embeddings and heads
// are AdamW's, as the authors have it): m += (1 - momentum) (g - m); d = nesterov ? g + momentum (m
// - g) : m; p = (1 - lr wd) p - lr scale orthogonalised(d); a normalised filter with filter_rate f
// has p = sqrt(outputs) p / |p| - lr f orthogonalised(d).
void muon(Queue& queue, Parameter& parameter, const Tensor& moment, const UpdateOf& update);

}  // namespace vitrail
