// Transposing copy, which packing, convolutions and the backward passes all need.
#pragma once

#include <cstdint>

namespace vitrail::kernels {

// out[c * out_stride + r] = in[r * in_stride + c] for r < rows, c < columns; the two do not
// overlap.
void transpose(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out,
               int64_t out_stride);

}  // namespace vitrail::kernels
