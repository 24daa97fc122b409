// Layer normalisation over the last axis (Ba, Kiros and Hinton, 2016), and its root-mean-square
// variant without mean and bias (Zhang and Sennrich, 2019).
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

enum class NormKind : uint8_t { layer, root_mean_square };

// What normalises a row.
struct RowNorm {
  NormKind kind = NormKind::layer;
  float epsilon = 1e-6f;
  const float* gamma = nullptr;  // [dim]; null: ones
  const float* beta = nullptr;   // [dim]; null: zeros
};

struct LayerNormArgs {
  NormKind kind = NormKind::layer;
  int64_t rows = 0;
  int64_t dim = 0;
  float epsilon = 1e-6f;
  const float* x = nullptr;      // [rows, dim]
  int64_t x_stride = 0;          // floats between rows
  const float* gamma = nullptr;  // [dim]; null: ones
  const float* beta = nullptr;   // [dim]; null: zeros
  float* y = nullptr;            // [rows, dim], may be x
  int64_t y_stride = 0;
  float* mean = nullptr;  // [rows], optional: what the backward needs (not written by RMS norm)
  float* rstd = nullptr;  // [rows], optional: 1 / sqrt(variance + epsilon)
};
// y = (x - mean) rstd gamma + beta. f32 throughout; the variance is the mean of squared differences
// from the mean (two passes), biased as in every framework. Threads take rows.
void layer_norm(Queue& queue, const LayerNormArgs& args);

struct LayerNormBackwardArgs {
  NormKind kind = NormKind::layer;
  int64_t rows = 0;
  int64_t dim = 0;
  const float* x = nullptr;
  int64_t x_stride = 0;
  const float* dy = nullptr;
  int64_t dy_stride = 0;
  const float* gamma = nullptr;  // [dim]; null: ones
  const float* mean = nullptr;   // [rows], as saved (unused by RMS norm)
  const float* rstd = nullptr;   // [rows], as saved
  float* dx = nullptr;           // = or +=, may be dy; null: not wanted
  int64_t dx_stride = 0;
  bool accumulate_dx = false;  // +=: the residual's gradient is there already
  float* dgamma = nullptr;     // += [dim]; null: not wanted
  float* dbeta = nullptr;      // += [dim]; null: not wanted
};
// With n = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean(g) - n mean(g n)),
// dgamma += sum over rows of dy n, dbeta += sum over rows of dy. Rows are reduced in chunks that
// shape alone fixes, so the sums do not depend on the number of threads.
void layer_norm_backward(Queue& queue, const LayerNormBackwardArgs& args);

}  // namespace vitrail::kernels
