#include "train/optimizer/lbfgs.h"

#include <cmath>
#include <deque>

namespace vitrail {
namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

struct Pair {
  Vector step, change;  // of the place and of the gradient
  double curvature = 0;
};

// The gradient times the approximated inverse of the Hessian (their algorithm 2.1).
Vector direction_of(const Vector& gradient, const std::deque<Pair>& pairs) {
  Vector q = gradient;
  Vector alphas(pairs.size());
  for (size_t i = pairs.size(); i-- > 0;) {
    alphas[i] = dot(pairs[i].step, q) / pairs[i].curvature;
    for (size_t j = 0; j < q.size(); ++j) q[j] -= alphas[i] * pairs[i].change[j];
  }
  double scale = 1 / std::max(1.0, std::sqrt(dot(gradient, gradient)));
  if (!pairs.empty())
    scale = pairs.back().curvature / dot(pairs.back().change, pairs.back().change);
  for (double& value : q) value *= scale;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const double beta = dot(pairs[i].change, q) / pairs[i].curvature;
    for (size_t j = 0; j < q.size(); ++j) q[j] += (alphas[i] - beta) * pairs[i].step[j];
  }
  for (double& value : q) value = -value;
  return q;
}

}  // namespace

double minimise(const SmoothFunction& function, Vector& at, const LbfgsOptions& options) {
  constexpr double kSufficient = 1e-4;  // of the decrease that the slope promises (Armijo)
  constexpr int kHalvings = 20;
  Vector gradient(at.size()), next_gradient(at.size());
  double value = function(at, gradient);
  std::deque<Pair> pairs;
  for (int iteration = 0; iteration < options.max_iterations; ++iteration) {
    if (std::sqrt(dot(gradient, gradient)) < options.tolerance) break;
    const Vector direction = direction_of(gradient, pairs);
    const double slope = dot(direction, gradient);
    if (slope >= 0) break;  // rounding has the last word
    double length = 1, next_value = 0;
    Vector next(at.size());
    bool found = false;
    for (int halving = 0; halving < kHalvings && !found; ++halving, length /= 2) {
      for (size_t i = 0; i < at.size(); ++i) next[i] = at[i] + length * direction[i];
      next_value = function(next, next_gradient);
      found = next_value <= value + kSufficient * length * slope;
    }
    if (!found) break;
    Pair pair{.step = Vector(at.size()), .change = Vector(at.size())};
    for (size_t i = 0; i < at.size(); ++i) {
      pair.step[i] = next[i] - at[i];
      pair.change[i] = next_gradient[i] - gradient[i];
    }
    pair.curvature = dot(pair.step, pair.change);
    // A pair without curvature would make the next direction point upwards.
    if (pair.curvature > 1e-12 * dot(pair.change, pair.change)) pairs.push_back(std::move(pair));
    if (static_cast<int>(pairs.size()) > options.history) pairs.pop_front();
    at = std::move(next);
    gradient = next_gradient;
    value = next_value;
  }
  return value;
}

}  // namespace vitrail
