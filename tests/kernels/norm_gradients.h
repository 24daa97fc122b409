// The gradients of a normalisation with residual and ReLU against differences of its oracle.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "support/compare.h"

namespace vitrail::kernels::operands {

// dgamma and dbeta were added onto this: far from what would cancel it.
constexpr float kNormGradientBegan = 10;

// `result` has what the kernel gave for `dy`; dx is held to `tolerance` times the largest rstd.
template <typename Input, typename Oracle, typename Result>
void expect_norm_gradients(const Input& input, Oracle oracle, const std::vector<float>& dy,
                           const Result& result, double tolerance, double largest_rstd) {
  using vitrail::testing::max_relative_error;
  const auto gradient_of = [&](std::vector<double> Input::*field, double began = 0) {
    std::vector<double> gradient = vitrail::testing::numeric_gradient(
        [&](const std::vector<double>& at) {
          Input moved = input;
          moved.*field = at;
          return vitrail::testing::dot(oracle(moved), dy);
        },
        input.*field);
    for (double& value : gradient) value += began;
    return gradient;
  };
  const std::vector<double> dx = gradient_of(&Input::x);
  for (size_t i = 0; i < dx.size(); ++i)
    ASSERT_NEAR(result.dx[i], dx[i], (8 * tolerance + 1e-6) * largest_rstd) << "element " << i;
  if (!input.residual.empty()) {
    EXPECT_LT(max_relative_error(result.dresidual, gradient_of(&Input::residual)),
              4 * tolerance + 1e-7);
  }
  EXPECT_LT(max_relative_error(result.dgamma, gradient_of(&Input::gamma, kNormGradientBegan)),
            8 * tolerance + 1e-7);
  EXPECT_LT(max_relative_error(result.dbeta, gradient_of(&Input::beta, kNormGradientBegan)),
            4 * tolerance + 1e-7);
}

}  // namespace vitrail::kernels::operands
