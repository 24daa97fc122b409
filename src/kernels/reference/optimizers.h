// Double-precision SGD and interpolation.
#pragma once

#include <vector>

#include "kernels/sgd.h"

namespace vitrail::kernels::reference {

struct SgdState {
  std::vector<double> parameter, momentum_buffer;
};
// One step; `args` gives the scalars, its pointers are ignored.
void sgd(SgdState& state, const std::vector<double>& gradient, const SgdArgs& args);

std::vector<double> lerp(const std::vector<double>& x, const std::vector<double>& y, double weight);

}  // namespace vitrail::kernels::reference
