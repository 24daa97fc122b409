// Matrix product with B rounded to bf16 and sums in f32: C = epilogue(A * B).
//
// Where the processor has bf16 dot products that pay (kernels/isa.h: avx512_bf16) A is rounded as
// well and goes through them. Elsewhere B is widened and A stays f32: as fast as f32, with half the
// memory for weights.
#pragma once

#include "kernels/gemm.h"

namespace vitrail::kernels {

// B [K, N] rounded to bf16, in the layout of one instruction set.
struct PackedBf16 {
  Tensor panels;  // [panels][K / 2][panel_width][2]
  int64_t rows = 0;
  int64_t columns = 0;
};

PackedBf16 pack_bf16(Queue& queue, const Matrix& b);

// A is rounded, where it is, on the way in, after its norm if there is one. `workspace` has
// gemm_bf16_workspace() bytes, 64-byte aligned.
int64_t gemm_bf16_workspace(int64_t rows, const PackedBf16& b);
void gemm_bf16(Queue& queue, const LeftOperand& a, const PackedBf16& b, const GemmOutput& c,
               void* workspace);

// A's rows rounded to bf16, each padded with zeros to whole vectors of the instruction set in use.
// Training rounds an activation once, on every instruction set, and keeps this for the backward
// pass.
struct RoundedRows {
  Tensor values;  // bf16 [rows, stride]
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t stride = 0;
};
RoundedRows round_rows(Queue& queue, const Matrix& a);
void gemm_bf16(Queue& queue, const RoundedRows& a, const PackedBf16& b, const GemmOutput& c);

}  // namespace vitrail::kernels
