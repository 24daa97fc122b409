// Convolution of pictures whose channels lie innermost: x [batch, height, width, channels] to
// y [batch, out_height, out_width, outputs].
//
// It is the matrix product of kernels/gemm.h with the patches of the picture as its left operand,
// row by row [rows, kernel_height * kernel_width * channels]. Patches exist for some rows at a
// time, in a thread's cache, and never as a whole. A weight is [outputs, kernel_height,
// kernel_width, channels]. `order` of the geometry is not read.
#pragma once

#include <cstdint>

#include "core/queue.h"
#include "kernels/gemm.h"
#include "kernels/gemm_bf16.h"
#include "kernels/unfold.h"
#include "kernels/weight_gradient.h"

namespace vitrail::kernels {

// A packed weight, and with it the precision: f32, or bf16 as gemm_bf16.h has it.
struct ConvolutionWeight {
  ConvolutionWeight(const PackedMatrix& packed) : f32(&packed) {}  // NOLINT: one of the two
  ConvolutionWeight(const PackedBf16& packed) : bf16(&packed) {}   // NOLINT
  const PackedMatrix* f32 = nullptr;
  const PackedBf16* bf16 = nullptr;
  int64_t rows() const { return f32 != nullptr ? f32->rows : bf16->rows; }
  int64_t columns() const { return f32 != nullptr ? f32->columns : bf16->columns; }
};

// y = epilogue(conv(x)), as gemm's, its rows those of y. `weight` is packed from its transpose
// [columns, outputs]. Sums are gemm's: they depend on nothing but the number of columns. Threads
// take blocks of rows.
void convolution(Queue& queue, const UnfoldGeometry& geometry, const float* x,
                 const ConvolutionWeight& weight, const Epilogue& epilogue, float* y);

// dx = the adjoint of conv, applied to dy [rows, outputs]. `weight` is packed as [outputs,
// columns]. A pixel adds its patches in their order. Threads take pictures.
void convolution_input_gradient(Queue& queue, const UnfoldGeometry& geometry, const float* dy,
                                const ConvolutionWeight& weight, float* dx);

struct ConvolutionWeightGradientArgs {
  UnfoldGeometry geometry;
  int64_t outputs = 0;
  const float* x = nullptr;
  const float* dy = nullptr;
  float* dw = nullptr;  // = [outputs, columns]
  float* db = nullptr;  // = [outputs]; null: not wanted
  bool bf16 = false;    // x and dy are rounded for dw
};
// dw = dy^T patches(x), db = the sum of dy's rows. Rows are cut into splits and blocks that the
// shape alone fixes, each a weight_gradient(), added in order. Threads take splits.
void convolution_weight_gradient(Queue& queue, const ConvolutionWeightGradientArgs& args);

}  // namespace vitrail::kernels
