// The order of values along an axis: cumulative maxima, and the largest values of a row.
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

// x, y and index [outer, axis, inner], contiguous; axis below 2^31.
struct CumulativeMaximumArgs {
  int64_t outer = 0;
  int64_t axis = 0;
  int64_t inner = 0;
  const float* x = nullptr;
  float* y = nullptr;        // =
  int32_t* index = nullptr;  // =; null: not wanted
};
// y[o, a, i] = the largest of x[o, 0 .. a, i]; index gets its place, the last one on ties, and a
// NaN wins from where it stands, as torch.cummax has it. Threads take outer.
void cumulative_maximum(Queue& queue, const CumulativeMaximumArgs& args);

struct CumulativeMaximumBackwardArgs {
  int64_t outer = 0;
  int64_t axis = 0;
  int64_t inner = 0;
  const int32_t* index = nullptr;  // the forward's
  const float* dy = nullptr;
  float* dx = nullptr;  // =
};
// dx[o, index[o, a, i], i] += dy[o, a, i] from zero, in the order of a.
void cumulative_maximum_backward(Queue& queue, const CumulativeMaximumBackwardArgs& args);

struct TopKArgs {
  int64_t rows = 0;
  int64_t dim = 0;
  int64_t k = 0;               // at most dim
  const float* x = nullptr;    // [rows, dim], contiguous
  float* values = nullptr;     // = [rows, k], from the largest down
  int64_t* indices = nullptr;  // = [rows, k]: their places; equal values from the first up
};
// NaN counts as larger than every number, as in torch.topk. Threads take rows.
void top_k(Queue& queue, const TopKArgs& args);

struct TopKBackwardArgs {
  int64_t rows = 0;
  int64_t dim = 0;
  int64_t k = 0;
  const int64_t* indices = nullptr;  // the forward's
  const float* dvalues = nullptr;    // [rows, k]
  float* dx = nullptr;               // = [rows, dim]: zeros but for the chosen
};
void top_k_backward(Queue& queue, const TopKBackwardArgs& args);

}  // namespace vitrail::kernels
