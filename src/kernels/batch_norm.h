// Batch normalisation of pictures whose channels lie innermost (Ioffe and Szegedy, 2015), with what
// follows it in a residual network: the shortcut's sum and ReLU. A row is a pixel of a picture.
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

struct BatchNormSize {
  int64_t rows = 0;  // pixels of all pictures
  int64_t channels = 0;
};

struct BatchStatisticsArgs {
  BatchNormSize size;
  const float* x = nullptr;   // [rows, channels], at least one row
  float* mean = nullptr;      // [channels]
  float* variance = nullptr;  // [channels], biased
};
// Runs of 64 rows take their mean and then their squared differences in f32; the runs are joined in
// order in f64 (Chan et al., 1983). Threads take runs: their number changes no bit.
void batch_statistics(Queue& queue, const BatchStatisticsArgs& args);

struct BatchNormArgs {
  BatchNormSize size;
  float epsilon = 1e-5f;
  const float* x = nullptr;         // [rows, channels]
  const float* mean = nullptr;      // [channels]: of this batch, or what training kept
  const float* variance = nullptr;  // [channels]
  const float* gamma = nullptr;     // [channels]
  const float* beta = nullptr;      // [channels]
  const float* residual = nullptr;  // [rows, channels], or null: none
  bool relu = false;
  float* y = nullptr;  // [rows, channels], may be x or residual
};
// y = relu((x - mean) rstd gamma + beta + residual), rstd = 1 / sqrt(variance + epsilon).
void batch_norm(Queue& queue, const BatchNormArgs& args);

struct BatchNormBackwardArgs {
  BatchNormSize size;
  float epsilon = 1e-5f;
  bool of_batch = true;  // mean and variance are functions of x; false: constants
  const float* x = nullptr;
  const float* y = nullptr;   // the forward's output where it had ReLU; null: it had none
  const float* dy = nullptr;  // [rows, channels]
  const float* gamma = nullptr;
  const float* mean = nullptr;  // as in the forward
  const float* variance = nullptr;
  float* dx = nullptr;         // = , may be dy; null: not wanted
  float* dresidual = nullptr;  // = dy where y > 0, may be dy but not dx; null: not wanted
  float* dgamma = nullptr;     // += [channels]; null: not wanted
  float* dbeta = nullptr;      // += [channels]; null: not wanted
};
// With d = dy where y > 0 (ReLU has slope 0 at 0) and n = (x - mean) rstd:
// dx = gamma rstd (d - mean(d) - n mean(d n)), means over the rows; gamma rstd d for constants.
// dgamma += sum of d n, dbeta += that of d: summed as the statistics are.
void batch_norm_backward(Queue& queue, const BatchNormBackwardArgs& args);

}  // namespace vitrail::kernels
