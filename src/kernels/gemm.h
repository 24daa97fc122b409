// General matrix product, f32: C = epilogue(A * B), or C += A * B.
//
// A is [M, K] and C is [M, N], each with a free row stride; A may also be read transposed through
// its strides. B is packed into panels of as many columns as two or three vectors hold, once for
// weights (PackedMatrix) or into scratch memory for activations.
//
// Accumulation is f32, over k in increasing order inside blocks whose size K alone fixes. So an
// element of C is the same to the last bit whatever M, N, the batch or the number of threads.
// Threading: tiles of C are claimed dynamically.
#pragma once

#include <cstdint>

#include "core/queue.h"
#include "core/tensor.h"
#include "kernels/activation.h"
#include "kernels/layer_norm.h"

namespace vitrail::kernels {

// A strided f32 matrix: element (r, c) is data[r * row_stride + c * column_stride].
struct Matrix {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t row_stride = 0;
  int64_t column_stride = 1;

  static Matrix row_major(const float* data, int64_t rows, int64_t columns) {
    return {data, rows, columns, columns, 1};
  }
  Matrix transposed() const { return {data, columns, rows, column_stride, row_stride}; }
};

// A [M, K] f32 with contiguous columns, for the products that convert it on the way in; with a
// norm, its rows are normalised first, while they are in cache.
struct LeftOperand {
  LeftOperand(const Matrix& matrix) : a(matrix) {}  // NOLINT: a matrix is one
  LeftOperand(const Matrix& matrix, const RowNorm& row_norm) : a(matrix), norm(&row_norm) {}
  Matrix a;
  const RowNorm* norm = nullptr;  // null: none
};

// B [K, N] in the layout of one instruction set.
struct PackedMatrix {
  Tensor panels;
  int64_t rows = 0;     // K
  int64_t columns = 0;  // N
  int64_t panel_width = 0;
};

// What happens to a tile of C while it is in registers, in this order:
//   x = A*B + bias;  x = activation(x);  x = x * scale;  x = x + residual
struct Epilogue {
  const float* bias = nullptr;  // [N]
  Activation activation = Activation::none;
  const float* column_scale = nullptr;  // [N]: LayerScale
  const float* residual = nullptr;      // [M, N] with residual_stride; may be C itself
  int64_t residual_stride = 0;
};

struct GemmOutput {
  float* data = nullptr;  // [M, N]
  int64_t row_stride = 0;
  bool accumulate = false;  // C += A*B; no epilogue then
  Epilogue epilogue = {};
};

// Packs B for the instruction set in use (kernels/isa.h).
PackedMatrix pack(Queue& queue, const Matrix& b);

// C = A * B with B packed. A's columns must equal packed.rows, and lie side by side.
void gemm(Queue& queue, const Matrix& a, const PackedMatrix& b, const GemmOutput& c);

// Bytes of scratch that the unpacked product needs.
int64_t gemm_workspace(const Matrix& a, const Matrix& b);

// C = A * B, packing B into `workspace` (64-byte aligned, gemm_workspace bytes) first. A may be
// transposed.
void gemm(Queue& queue, const Matrix& a, const Matrix& b, const GemmOutput& c, void* workspace);

}  // namespace vitrail::kernels
