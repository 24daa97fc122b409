#include "kernels/reference/l2_normalize.h"

#include <algorithm>
#include <cmath>

namespace vitrail::kernels::reference {

std::vector<double> l2_normalize(const std::vector<double>& x, const std::vector<double>& gain,
                                 int64_t dim, double epsilon) {
  std::vector<double> y(x.size());
  const auto width = static_cast<size_t>(dim);
  for (size_t row = 0; row * width < x.size(); ++row) {
    double squares = 0;
    for (size_t i = row * width; i < (row + 1) * width; ++i) squares += x[i] * x[i];
    const double norm = std::max(std::sqrt(squares), epsilon);
    for (size_t i = row * width; i < (row + 1) * width; ++i)
      y[i] = (gain.empty() ? 1.0 : gain[row]) * x[i] / norm;
  }
  return y;
}

}  // namespace vitrail::kernels::reference
