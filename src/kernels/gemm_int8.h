// Matrix product in 8-bit integers: C = epilogue(A * W^T) with W quantized once and A on the way
// in.
//
// Weights: symmetric, one scale for each output, w ~ scale * q with q in [-127, 127].
// Activations: one scale and zero point for each row (token), a ~ scale * (q - zero), q in [0,
// 255]; the range always holds zero, so padding and zeros are exact. Products are summed in 32 bits
// without saturation and the zero point is taken out by each output's sum of q, so the integers are
// the same on every instruction set, whatever the blocking or the number of threads:
//   C[m, n] = scale_a[m] * scale_w[n] * (sum_k qa[m, k] * qw[n, k] - zero[m] * sum_k qw[n, k])
// A row that holds a value that is not finite gives NaN, as in f32.
#pragma once

#include "kernels/gemm.h"

namespace vitrail::kernels {

// The longest K whose 32-bit sums cannot overflow: 255 * 128 * K < 2^31. quantize_weight() makes no
// -128, but files of others may hold it.
inline constexpr int64_t kMaxInt8Depth = 65'793;

struct QuantizedWeight {
  Tensor values;  // i8 [N, K], at any address
  Tensor scales;  // f32 [N]
};
// weight: f32 [N, K], contiguous; finite.
QuantizedWeight quantize_weight(Queue& queue, const float* weight, int64_t outputs, int64_t inputs);
// out [N, K] = scale * q.
void dequantize_weight(Queue& queue, const QuantizedWeight& weight, float* out);

// W^T in the layout of one instruction set.
struct PackedInt8 {
  Tensor panels;        // i8 [panels][K / 4][panel_width][4]
  Tensor scales;        // f32 [N], zeros up to whole panels
  Tensor sums;          // i32 [N], likewise: sum over k of q
  int64_t rows = 0;     // K
  int64_t columns = 0;  // N
};
PackedInt8 pack_int8(Queue& queue, const QuantizedWeight& weight);

// A is quantized on the way in, after its norm if there is one; K at most kMaxInt8Depth.
// `workspace` has gemm_int8_workspace() bytes, 64-byte aligned.
int64_t gemm_int8_workspace(int64_t rows, const PackedInt8& b);
void gemm_int8(Queue& queue, const LeftOperand& a, const PackedInt8& b, const GemmOutput& c,
               void* workspace);

}  // namespace vitrail::kernels
