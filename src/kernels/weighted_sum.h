// Weighted sums over a middle axis: the sequence pooling of compact transformers (Hassani et al.,
// "Escaping the big data paradigm with compact transformers", 2021).
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

struct WeightedSumArgs {
  int64_t outer = 0;
  int64_t axis = 0;
  int64_t inner = 0;
  const float* weights = nullptr;  // [outer, axis]
  const float* x = nullptr;        // [outer, axis, inner], contiguous
  float* out = nullptr;            // [outer, inner]
};
// out[o, i] = sum over a of weights[o, a] x[o, a, i], added in the order of a. Threads take o.
void weighted_sum(Queue& queue, const WeightedSumArgs& args);

struct WeightedSumBackwardArgs {
  int64_t outer = 0;
  int64_t axis = 0;
  int64_t inner = 0;
  const float* weights = nullptr;
  const float* x = nullptr;
  const float* dy = nullptr;  // [outer, inner]
  float* dweights = nullptr;  // = [outer, axis]; null: not wanted
  float* dx = nullptr;        // = [outer, axis, inner]; null: not wanted
};
// dweights[o, a] = sum over i of dy[o, i] x[o, a, i]; dx[o, a, i] = weights[o, a] dy[o, i].
void weighted_sum_backward(Queue& queue, const WeightedSumBackwardArgs& args);

}  // namespace vitrail::kernels
