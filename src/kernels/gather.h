// Rows of tokens picked by index, and their gradients put back: what masking does to a sequence.
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

struct GatherArgs {
  int64_t outer = 0;   // samples
  int64_t rows = 0;    // of each
  int64_t picked = 0;  // from each
  int64_t dim = 0;
  const float* x = nullptr;        // [outer, rows, dim], contiguous
  const int64_t* index = nullptr;  // [outer, picked], each in [0, rows); a row may be picked often
  float* y = nullptr;              // = [outer, picked, dim]
  bool shared_index = false;       // index is [picked], one for all samples
};
// y[o, p, :] = x[o, index[o, p], :]. Threads take rows of y.
void gather(Queue& queue, const GatherArgs& args);

struct GatherBackwardArgs {
  int64_t outer = 0;
  int64_t rows = 0;
  int64_t picked = 0;
  int64_t dim = 0;
  const int64_t* index = nullptr;
  const float* dy = nullptr;  // [outer, picked, dim]
  float* dx = nullptr;        // += [outer, rows, dim]
  bool shared_index = false;
};
// dx[o, index[o, p], :] += dy[o, p, :], in the order of p. Threads take samples and strips of dim.
void gather_backward(Queue& queue, const GatherBackwardArgs& args);

}  // namespace vitrail::kernels
