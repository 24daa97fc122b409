#include "kernels/reference/layer_norm.h"

#include <cmath>

namespace vitrail::kernels::reference {

std::vector<double> layer_norm(const LayerNormInput& input) {
  const int64_t dim = input.dim, rows = static_cast<int64_t>(input.x.size()) / dim;
  std::vector<double> y(input.x.size());
  for (int64_t row = 0; row < rows; ++row) {
    const double* x = input.x.data() + row * dim;
    double mean = 0, variance = 0;
    if (input.kind == NormKind::layer)
      for (int64_t j = 0; j < dim; ++j) mean += x[j] / static_cast<double>(dim);
    for (int64_t j = 0; j < dim; ++j)
      variance += (x[j] - mean) * (x[j] - mean) / static_cast<double>(dim);
    for (int64_t j = 0; j < dim; ++j) {
      double value = (x[j] - mean) / std::sqrt(variance + input.epsilon);
      if (!input.gamma.empty()) value *= input.gamma[j];
      if (!input.beta.empty()) value += input.beta[j];
      y[row * dim + j] = value;
    }
  }
  return y;
}

}  // namespace vitrail::kernels::reference
