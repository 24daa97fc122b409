#include "kernels/reference/softmax.h"

#include <algorithm>
#include <cmath>

namespace vitrail::kernels::reference {
namespace {

double log_sum_exp(const double* x, int64_t classes) {
  const double largest = *std::max_element(x, x + classes);
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(x[c] - largest);
  return largest + std::log(sum);
}

}  // namespace

std::vector<double> softmax(const std::vector<double>& x, int64_t classes) {
  std::vector<double> y(x.size());
  for (size_t row = 0; row < x.size(); row += static_cast<size_t>(classes)) {
    const double total = log_sum_exp(x.data() + row, classes);
    for (size_t c = row; c < row + static_cast<size_t>(classes); ++c) y[c] = std::exp(x[c] - total);
  }
  return y;
}

std::vector<double> cross_entropy(const std::vector<double>& logits,
                                  const std::vector<double>& targets, int64_t classes) {
  std::vector<double> losses;
  for (size_t row = 0; row < logits.size(); row += static_cast<size_t>(classes)) {
    const double total = log_sum_exp(logits.data() + row, classes);
    double loss = 0;
    for (size_t c = row; c < row + static_cast<size_t>(classes); ++c)
      loss += targets[c] * (total - logits[c]);
    losses.push_back(loss);
  }
  return losses;
}

std::vector<double> binary_cross_entropy(const std::vector<double>& logits,
                                         const std::vector<double>& targets, int64_t classes) {
  std::vector<double> losses;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (i % static_cast<size_t>(classes) == 0) losses.push_back(0);
    const double x = logits[i];
    losses.back() += std::max(x, 0.0) - x * targets[i] + std::log1p(std::exp(-std::abs(x)));
  }
  return losses;
}

std::vector<double> smoothed(std::vector<double> targets, int64_t classes, double smoothing) {
  for (double& target : targets)
    target = (1 - smoothing) * target + smoothing / static_cast<double>(classes);
  return targets;
}

std::vector<double> smoothed_labels(const std::vector<int64_t>& labels, int64_t classes,
                                    double smoothing) {
  std::vector<double> targets(labels.size() * static_cast<size_t>(classes));
  for (size_t row = 0; row < labels.size(); ++row)
    targets[row * static_cast<size_t>(classes) + static_cast<size_t>(labels[row])] = 1;
  return smoothed(std::move(targets), classes, smoothing);
}

}  // namespace vitrail::kernels::reference
