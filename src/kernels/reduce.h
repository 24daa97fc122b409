// Sums whose order shape alone fixes: results do not depend on the number of threads.
#pragma once

#include <cstdint>
#include <span>

#include "core/queue.h"

namespace vitrail::kernels {

// out[p, j] += sum over rows r with r % period == p of x[r, j] (times y[r, j] when y is given).
// x, y: [rows, dim] with row strides; out: [period, dim]. Period 1 is the gradient of a bias, with
// y of LayerScale; period N that of a position embedding.
struct SumRowsArgs {
  int64_t rows = 0;
  int64_t dim = 0;
  const float* x = nullptr;
  int64_t x_stride = 0;
  const float* y = nullptr;  // optional factor
  int64_t y_stride = 0;
  int64_t period = 1;
  float* out = nullptr;  // +=
};
void sum_rows(Queue& queue, const SumRowsArgs& args);

// out[o, i] = (1 / axis) sum over a of x[o, a, i], all contiguous. The mean over tokens has
// outer B, axis N, inner D. Additions run in the order of a.
struct MeanAxisArgs {
  int64_t outer = 0;
  int64_t axis = 0;
  int64_t inner = 0;
  const float* x = nullptr;
  float* out = nullptr;
};
void mean_axis(Queue& queue, const MeanAxisArgs& args);

struct MeanAxisBackwardArgs {
  int64_t outer = 0;
  int64_t axis = 0;
  int64_t inner = 0;
  const float* dy = nullptr;  // [outer, inner]
  float* dx = nullptr;        // = [outer, axis, inner]
};
// dx[o, a, i] = dy[o, i] / axis
void mean_axis_backward(Queue& queue, const MeanAxisBackwardArgs& args);

// *out += sum of x[i]^2: f32 within 1,024 elements, double over them. Not finite when an element is
// not. The gradient norm is the root of this sum over all parameters.
void sum_squares(Queue& queue, int64_t count, const float* x, double* out);
// The same over several arrays in one sweep, in their order.
void sum_squares(Queue& queue, std::span<const std::span<const float>> arrays, double* out);

}  // namespace vitrail::kernels
