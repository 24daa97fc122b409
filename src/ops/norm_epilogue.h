// What follows the normalisation of a picture in the same pass.
#pragma once

#include <string>

#include "autograd/variable.h"
#include "core/error.h"

namespace vitrail {

// y = relu(norm(x) + residual).
struct NormEpilogue {
  bool relu = false;
  const Variable* residual = nullptr;  // x's shape; null: none
};

// Undefined where there is none. Error: it has not the shape of x; `path` is the norm's.
inline Variable residual_of(const NormEpilogue& epilogue, const Variable& x, const char* operation,
                            const std::string& path) {
  if (epilogue.residual == nullptr) return {};
  check(epilogue.residual->shape() == x.shape(), operation,
        "{}: a residual of {} does not fit an input of {}", path, epilogue.residual->shape().str(),
        x.shape().str());
  return *epilogue.residual;
}

}  // namespace vitrail
