// The gradient of a projection's weight, and of its bias: dW = dY^T X, db = the sum of dY's rows.
//
// dY is [rows, outputs] and X [rows, inputs]; dW is small and the sum is long, so rows are cut into
// splits with a partial sum each. A split adds chunks of at most 128 rows (bf16: 256), a chunk its
// rows in order; splits are added in order. Their number follows from the shape alone: results do
// not depend on the number of threads. Operands are packed where they are used, while they are in
// the second cache, and dY's columns are summed on the way.
//
// f32, or bf16: both operands rounded to bf16, sums in f32; db is of the f32 values in both.
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

// Where a gradient goes: = or +=.
struct GradientOutput {
  float* data = nullptr;
  bool accumulate = false;
};

struct WeightGradientArgs {
  int64_t rows = 0;
  int64_t outputs = 0;
  int64_t inputs = 0;
  const float* dy = nullptr;         // [rows, outputs], contiguous
  const float* x = nullptr;          // [rows, inputs] with x_stride, or
  const uint16_t* x_bf16 = nullptr;  // the same rounded: RoundedRows of gemm_bf16.h
  int64_t x_stride = 0;
  bool bf16 = false;  // must be set with x_bf16
  GradientOutput dw;  // [outputs, inputs], contiguous
  GradientOutput db;  // [outputs]; data null: not wanted
};

// Bytes of scratch, 64-byte aligned.
int64_t weight_gradient_workspace(Queue& queue, const WeightGradientArgs& args);
// Threads take blocks of dW and splits.
void weight_gradient(Queue& queue, const WeightGradientArgs& args, void* workspace);

}  // namespace vitrail::kernels
