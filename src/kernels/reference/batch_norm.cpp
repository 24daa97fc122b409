#include "kernels/reference/batch_norm.h"

#include <algorithm>
#include <cmath>

namespace vitrail::kernels::reference {

BatchStatistics batch_statistics(const BatchNormSize& size, const std::vector<double>& x) {
  BatchStatistics result;
  for (int64_t c = 0; c < size.channels; ++c) {
    double mean = 0, variance = 0;
    for (int64_t r = 0; r < size.rows; ++r)
      mean += x[r * size.channels + c] / static_cast<double>(size.rows);
    for (int64_t r = 0; r < size.rows; ++r) {
      const double difference = x[r * size.channels + c] - mean;
      variance += difference * difference / static_cast<double>(size.rows);
    }
    result.mean.push_back(mean);
    result.variance.push_back(variance);
  }
  return result;
}

std::vector<double> batch_norm(const BatchNormInput& input) {
  const BatchStatistics statistics = input.mean.empty()
                                         ? batch_statistics(input.size, input.x)
                                         : BatchStatistics{input.mean, input.variance};
  std::vector<double> y(input.x.size());
  for (size_t at = 0; at < y.size(); ++at) {
    const size_t c = at % static_cast<size_t>(input.size.channels);
    y[at] = (input.x[at] - statistics.mean[c]) / std::sqrt(statistics.variance[c] + input.epsilon) *
                input.gamma[c] +
            input.beta[c];
    if (!input.residual.empty()) y[at] += input.residual[at];
    if (input.relu) y[at] = std::max(y[at], 0.0);
  }
  return y;
}

}  // namespace vitrail::kernels::reference
