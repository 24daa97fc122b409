// Double-precision matrix product with its epilogue.
#pragma once

#include <vector>

#include "kernels/activation.h"

namespace vitrail::kernels::reference {

struct GemmInput {
  int64_t m = 0, n = 0, k = 0;
  std::vector<double> a;  // [m, k]
  std::vector<double> b;  // [k, n]
  // Each may be empty: bias [n], scale [n], residual [m, n].
  std::vector<double> bias, scale, residual;
  Activation activation = Activation::none;
};
std::vector<double> gemm(const GemmInput& input);

}  // namespace vitrail::kernels::reference
