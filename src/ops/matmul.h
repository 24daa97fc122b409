// The product of two variables; a projection by a weight is ops/linear.h.
#pragma once

#include "autograd/context.h"

namespace vitrail {

struct MatmulOptions {
  bool transpose_a = false;  // a is [..., K, M]
  bool transpose_b = false;  // b is [..., N, K]
};

// a [..., M, K] times b [..., K, N]: [..., M, N]. The axes in front are a stack of matrices,
// repeated as NumPy broadcasts. f32 in every precision. Error: shapes that do not fit.
Variable matmul(const Context& context, const Variable& a, const Variable& b,
                const MatmulOptions& options = {});

}  // namespace vitrail
