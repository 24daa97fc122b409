#include "kernels/l2_normalize.h"

#include <gtest/gtest.h>

#include "kernels/reference/l2_normalize.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::dot;
using testing::for_each_isa;
using testing::max_relative_error;
using testing::numeric_gradient;
using testing::random_floats;
using testing::sum_tolerance;
using testing::to_double;

void check_rows(Queue& queue, int64_t rows, int64_t dim, bool with_gain, float epsilon = 1e-12f) {
  SCOPED_TRACE("rows " + std::to_string(rows) + ", dim " + std::to_string(dim));
  const auto x = random_floats(rows * dim, 1), dy = random_floats(rows * dim, 2);
  const auto gain = random_floats(rows, 3, 0.5, 2);
  const float* gains = with_gain ? gain.data() : nullptr;
  const std::vector<double> gain_exact = with_gain ? to_double(gain) : std::vector<double>();
  std::vector<float> y(x.size()), norm(static_cast<size_t>(rows)), dx(x.size());
  std::vector<float> dgain(static_cast<size_t>(rows), 1.0f);
  l2_normalize(queue, {rows, dim, epsilon, x.data(), gains, y.data(), norm.data()});
  const auto want = reference::l2_normalize(to_double(x), gain_exact, dim, epsilon);
  EXPECT_LT(max_relative_error(y, want), sum_tolerance(dim));

  l2_normalize_backward(queue, {rows, dim, epsilon, x.data(), gains, norm.data(), dy.data(),
                                dx.data(), with_gain ? dgain.data() : nullptr});
  const auto dx_want = numeric_gradient(
      [&](const std::vector<double>& at) {
        return dot(reference::l2_normalize(at, gain_exact, dim, epsilon), dy);
      },
      to_double(x));
  // A row of one number keeps its sign alone: its gradient is zero, which no ratio measures.
  if (dim > 1) {
    EXPECT_LT(max_relative_error(dx, dx_want), 1e-6 + sum_tolerance(dim));
  }
  if (!with_gain) return;
  auto dgain_want = numeric_gradient(
      [&](const std::vector<double>& at) {
        return dot(reference::l2_normalize(to_double(x), at, dim, epsilon), dy);
      },
      gain_exact);
  for (double& value : dgain_want) value += 1;  // it is added to
  EXPECT_LT(max_relative_error(dgain, dgain_want), 1e-6 + sum_tolerance(dim));
}

TEST(L2Normalize, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t dim : {1, 2, 7, 8, 15, 17, 33})
      for (const int64_t rows : {1, 5})
        for (const bool with_gain : {false, true}) check_rows(queue, rows, dim, with_gain);
    check_rows(queue, 3, 9, true, 100.0f);  // shorter than epsilon
  });
}

TEST(L2Normalize, ARowOfZerosStaysOne) {
  Queue queue(1);
  std::vector<float> x(5), y(5, 1.0f);
  l2_normalize(queue, {.rows = 1, .dim = 5, .x = x.data(), .y = y.data()});
  EXPECT_EQ(y, x);
}

TEST(L2Normalize, SameBitsOnAnyThreads) {
  const auto x = random_floats(5000 * 7, 1);
  testing::expect_same_on_any_threads([&](Queue& queue) {
    std::vector<float> y(x.size());
    l2_normalize(queue, {.rows = 5000, .dim = 7, .x = x.data(), .y = y.data()});
    return y;
  });
}

}  // namespace
}  // namespace vitrail::kernels
