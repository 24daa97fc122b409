// Minimising a smooth function of many variables from its values and gradients: limited-memory BFGS
// (Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989).
#pragma once

#include <functional>
#include <span>
#include <vector>

namespace vitrail {

struct LbfgsOptions {
  int max_iterations = 200;
  int history = 10;
  double tolerance = 1e-4;  // of the gradient's norm
};

// The value at `at`; writes the gradient.
using SmoothFunction =
    std::function<double(std::span<const double> at, std::span<double> gradient)>;

// Moves `at` to a minimum, or as near as the iterations and the function's precision allow. Returns
// the value there, which is never above the first one.
double minimise(const SmoothFunction& function, std::vector<double>& at,
                const LbfgsOptions& options = {});

}  // namespace vitrail
