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

// out[o, i] = sum over a of x[o, a, i] (times y[o, a, i] when y is given), all contiguous.
struct SumAxisArgs {
  int64_t outer = 0;
  int64_t axis = 0;
  int64_t inner = 0;
  const float* x = nullptr;
  const float* y = nullptr;  // optional factor, as x
  float* out = nullptr;      // = [outer, inner]
};
// Inner 1: each 8,192 elements in interleaved sums, these in order, in double. Else: 64 elements in
// order, then these sums in order. Threads take outer, strips of inner, and pieces of a long row.
void sum_axis(Queue& queue, const SumAxisArgs& args);

// out[o, i] = the largest x[o, a, i]; NaN wins over numbers. index (optional) gets its a, the first
// one on ties. All contiguous, axis at least 1 and below 2^31.
struct MaxAxisArgs {
  int64_t outer = 0;
  int64_t axis = 0;
  int64_t inner = 0;
  const float* x = nullptr;
  float* out = nullptr;      // = [outer, inner]
  int32_t* index = nullptr;  // = [outer, inner]; null: not wanted
};
// Threads take outer.
void max_axis(Queue& queue, const MaxAxisArgs& args);

struct MaxAxisBackwardArgs {
  int64_t outer = 0;
  int64_t axis = 0;
  int64_t inner = 0;
  const int32_t* index = nullptr;  // the forward's
  const float* dy = nullptr;       // [outer, inner]
  float* dx = nullptr;             // = [outer, axis, inner]
};
// dx[o, index[o, i], i] = dy[o, i], zeros elsewhere.
void max_axis_backward(Queue& queue, const MaxAxisBackwardArgs& args);

// *out += sum of x[i]^2: f32 within 1,024 elements, double over them. Not finite when an element is
// not. The gradient norm is the root of this sum over all parameters.
void sum_squares(Queue& queue, int64_t count, const float* x, double* out);
// The same over several arrays in one sweep, in their order.
void sum_squares(Queue& queue, std::span<const std::span<const float>> arrays, double* out);

}  // namespace vitrail::kernels
