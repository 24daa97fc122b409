// A matrix with its axes changed, as files keep it that multiply from the other side.
#pragma once

#include "core/tensor.h"

namespace vitrail {

// x [R, C] as [C, R], in its dtype.
Tensor transposed(const Tensor& x);

}  // namespace vitrail
