// Tokens picked by index: masking and its undoing (He et al., "Masked autoencoders are scalable
// vision learners", 2022, section 3).
#pragma once

#include "autograd/context.h"

namespace vitrail {

// y[b, k, :] = x[b, index[b, k], :]. x [B, N, D]; index i64 [B, K], each in [0, N), a token as
// often as one likes; returns [B, K, D]. Error: an index out of range, a shape that does not fit.
Variable gather_tokens(const Context& context, const Variable& x, const Tensor& index);

}  // namespace vitrail
