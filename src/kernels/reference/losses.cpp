#include "kernels/reference/losses.h"

#include <cmath>

#include "kernels/reference/softmax.h"

namespace vitrail::kernels::reference {

std::vector<double> kl_divergence(const std::vector<double>& logits,
                                  const std::vector<double>& teacher, int64_t classes,
                                  double temperature) {
  const auto softened = [&](std::vector<double> x) {
    for (double& v : x) v /= temperature;
    return softmax(x, classes);
  };
  const std::vector<double> p = softened(logits), q = softened(teacher);
  std::vector<double> losses(logits.size() / static_cast<size_t>(classes));
  for (size_t i = 0; i < p.size(); ++i)
    losses[i / static_cast<size_t>(classes)] +=
        temperature * temperature * q[i] * (std::log(q[i]) - std::log(p[i]));
  return losses;
}

double mean_squared_error(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

}  // namespace vitrail::kernels::reference
