// Products of two stacks of matrices, neither of which is a weight: attention written out, XCiT's
// attention over channels, token mixing.
#pragma once

#include "core/queue.h"
#include "core/tensor.h"

namespace vitrail::kernels {

// f32 views of one rank, at least 2, whose last two axes are a matrix; the axes before are the
// stack. Their sizes are equal, a stride of 0 repeats a matrix (broadcast_to of kernels/copy.h),
// and a matrix is read transposed through its strides.
struct BatchedGemmArgs {
  View a;    // [..., M, K], either stride 1
  View b;    // [..., K, N], any strides
  View out;  // [..., M, N], the last stride 1
};
// out = a b, each as gemm() of kernels/gemm.h has it, and with its rule of bits: an element depends
// on nothing but its row, its column and K. Threads take whole products where there are many, parts
// of one where there are few.
void batched_gemm(Queue& queue, const BatchedGemmArgs& args);

}  // namespace vitrail::kernels
