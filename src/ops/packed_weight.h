// The forms of a projection's weight that products read, built once per version of the weight and
// instruction set. weight is [N, K]: any shape whose first size is N.
#pragma once

#include <memory>

#include "autograd/parameter.h"
#include "core/queue.h"
#include "kernels/gemm.h"
#include "kernels/gemm_bf16.h"
#include "kernels/gemm_int8.h"

namespace vitrail {

// K.
int64_t input_size(const Parameter& weight);

// W^T, of y = x W^T.
std::shared_ptr<const kernels::PackedMatrix> packed_f32(Queue& queue, const Parameter& weight);
std::shared_ptr<const kernels::PackedBf16> packed_bf16(Queue& queue, const Parameter& weight);
std::shared_ptr<const kernels::PackedInt8> packed_int8(Queue& queue, const Parameter& weight);

// W, of dx = dy W.
std::shared_ptr<const kernels::PackedMatrix> packed_f32_backward(Queue& queue,
                                                                 const Parameter& weight);
std::shared_ptr<const kernels::PackedBf16> packed_bf16_backward(Queue& queue,
                                                                const Parameter& weight);

}  // namespace vitrail
