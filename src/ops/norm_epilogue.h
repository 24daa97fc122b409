// What follows the normalisation of a picture in the same pass.
#pragma once

#include "autograd/variable.h"

namespace vitrail {

// y = relu(norm(x) + residual).
struct NormEpilogue {
  bool relu = false;
  const Variable* residual = nullptr;  // x's shape; null: none
};

}  // namespace vitrail
