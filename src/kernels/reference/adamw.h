// Double-precision AdamW.
#pragma once

#include <vector>

#include "kernels/adamw.h"

namespace vitrail::kernels::reference {

struct AdamWState {
  std::vector<double> parameter, first_moment, second_moment;
};
// One step; `args` gives the scalars, its pointers are ignored.
void adamw(AdamWState& state, const std::vector<double>& gradient, const AdamWArgs& args);

}  // namespace vitrail::kernels::reference
