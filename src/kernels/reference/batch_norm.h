// Double-precision batch normalisation.
#pragma once

#include <vector>

#include "kernels/batch_norm.h"

namespace vitrail::kernels::reference {

struct BatchNormInput {
  BatchNormSize size;
  double epsilon = 0;
  std::vector<double> x;               // [rows, channels]
  std::vector<double> gamma, beta;     // [channels]
  std::vector<double> residual;        // as x, or empty: none
  std::vector<double> mean, variance;  // [channels], or empty: the batch's own
  bool relu = false;
};
std::vector<double> batch_norm(const BatchNormInput& input);

struct BatchStatistics {
  std::vector<double> mean, variance;  // [channels], biased
};
BatchStatistics batch_statistics(const BatchNormSize& size, const std::vector<double>& x);

}  // namespace vitrail::kernels::reference
