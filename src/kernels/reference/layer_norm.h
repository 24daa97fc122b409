// Double-precision layer normalisation.
#pragma once

#include <vector>

#include "kernels/layer_norm.h"

namespace vitrail::kernels::reference {

struct LayerNormInput {
  NormKind kind = NormKind::layer;
  int64_t dim = 0;
  double epsilon = 0;
  std::vector<double> x;      // [rows, dim]
  std::vector<double> gamma;  // [dim], or empty: ones
  std::vector<double> beta;   // [dim], or empty: zeros
};
std::vector<double> layer_norm(const LayerNormInput& input);

}  // namespace vitrail::kernels::reference
