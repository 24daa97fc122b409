// Double-precision group normalisation.
#pragma once

#include <vector>

#include "kernels/group_norm.h"

namespace vitrail::kernels::reference {

struct GroupNormInput {
  GroupNormSize size;
  double epsilon = 0;
  std::vector<double> x;            // [batch, pixels, channels]
  std::vector<double> gamma, beta;  // [channels]
  std::vector<double> residual;     // as x, or empty: none
  bool relu = false;
};
std::vector<double> group_norm(const GroupNormInput& input);

}  // namespace vitrail::kernels::reference
