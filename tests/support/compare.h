// How far two arrays are apart, and derivatives by central differences.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace vitrail::testing {

inline constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

inline std::vector<double> to_double(std::span<const float> values) {
  return {values.begin(), values.end()};
}

// max |a - b| / max |b|; infinite when the lengths differ or a NaN stands where b has none.
template <typename A, typename B>
double max_relative_error(const A& a, const B& b) {
  if (std::size(a) != std::size(b)) return std::numeric_limits<double>::infinity();
  double difference = 0, largest = std::numeric_limits<double>::min();
  for (size_t i = 0; i < std::size(a); ++i) {
    const double x = a[i], y = b[i];
    if (std::isnan(x) != std::isnan(y)) return std::numeric_limits<double>::infinity();
    if (std::isnan(x)) continue;
    difference = std::max(difference, std::abs(x - y));
    largest = std::max(largest, std::abs(y));
  }
  return difference / largest;
}

// A bound for sums of `length` f32 terms: rounding errors wander rather than add up.
inline double sum_tolerance(int64_t length) {
  return kEpsilon * (4 + 2 * std::sqrt(static_cast<double>(length)));
}

// d loss / d at[i] for every i by central differences. In double with a smooth loss of order one
// the error is about 1e-9.
inline std::vector<double> numeric_gradient(
    const std::function<double(const std::vector<double>&)>& loss, std::vector<double> at,
    double step = 1e-5) {
  std::vector<double> gradient(at.size());
  for (size_t i = 0; i < at.size(); ++i) {
    const double kept = at[i];
    at[i] = kept + step;
    const double above = loss(at);
    at[i] = kept - step;
    gradient[i] = (above - loss(at)) / (2 * step);
    at[i] = kept;
  }
  return gradient;
}

inline double dot(std::span<const double> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace vitrail::testing
