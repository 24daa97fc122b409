#include "kernels/pool2d.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/reference/convolution.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::dot;
using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::max_relative_error;
using testing::numeric_gradient;
using testing::random_floats;
using testing::sum_tolerance;
using testing::to_double;

const PoolGeometry kGeometries[] = {
    {.batch = 3,
     .channels = 17,
     .height = 8,
     .width = 6,
     .kernel_height = 2,
     .kernel_width = 2,
     .stride_height = 2,
     .stride_width = 2},
    {.batch = 1,
     .channels = 2,
     .height = 7,
     .width = 9,
     .kernel_height = 3,
     .kernel_width = 3,
     .stride_height = 2,
     .stride_width = 2,
     .padding_height = 1,
     .padding_width = 1},
    {.batch = 2,
     .channels = 8,
     .height = 5,
     .width = 4,
     .kernel_height = 3,
     .kernel_width = 2,
     .stride_height = 1,
     .stride_width = 1,
     .padding_height = 1,
     .padding_width = 1},
    {.batch = 2, .channels = 4, .height = 1, .width = 1},
};

void check_max(Queue& queue) {
  for (const PoolGeometry& g : kGeometries) {
    const auto x = random_floats(g.batch * g.channels * g.height * g.width, 1, -2,
                                 -1);  // padding must not win
    const size_t outputs =
        static_cast<size_t>(g.batch * g.channels * g.out_height() * g.out_width());
    const auto dy = random_floats(static_cast<int64_t>(outputs), 2);
    std::vector<float> y(outputs), dx(x.size(), 77.0f);
    std::vector<int32_t> argmax(outputs);
    max_pool2d(queue, g, x.data(), y.data(), argmax.data());
    const auto exact = to_double(x);
    EXPECT_EQ(max_relative_error(y, reference::max_pool2d(g, exact)), 0);
    max_pool2d_backward(queue, g, argmax.data(), dy.data(), dx.data());
    const auto want = numeric_gradient(
        [&](const std::vector<double>& at) { return dot(reference::max_pool2d(g, at), dy); }, exact,
        1e-7);
    EXPECT_LT(max_relative_error(dx, want), 1e-6);
  }
}

TEST(MaxPool2d, MatchesTheOracleOnEveryTarget) {
  for_each_isa(check_max);
}

TEST(MaxPool2d, TakesTheFirstOfEqualsAndKeepsNan) {
  Queue queue(1);
  const PoolGeometry g{
      .batch = 1, .channels = 1, .height = 2, .width = 2, .kernel_height = 2, .kernel_width = 2};
  std::vector<float> x{1, 3, 3, 2};
  float y = 0;
  int32_t argmax = -1;
  max_pool2d(queue, g, x.data(), &y, &argmax);
  EXPECT_EQ(argmax, 1);
  x[2] = std::numeric_limits<float>::quiet_NaN();
  max_pool2d(queue, g, x.data(), &y, &argmax);
  EXPECT_TRUE(std::isnan(y));
  EXPECT_EQ(argmax, 2);
}

void check_average(Queue& queue) {
  for (const PoolGeometry& g : kGeometries) {
    const auto x = random_floats(g.batch * g.channels * g.height * g.width, 3);
    const size_t outputs =
        static_cast<size_t>(g.batch * g.channels * g.out_height() * g.out_width());
    const auto dy = random_floats(static_cast<int64_t>(outputs), 4);
    std::vector<float> y(outputs), dx(x.size(), 77.0f);
    average_pool2d(queue, g, x.data(), y.data());
    const auto exact = to_double(x);
    const double tolerance = sum_tolerance(g.kernel_height * g.kernel_width);
    EXPECT_LT(max_relative_error(y, reference::average_pool2d(g, exact)), tolerance);
    average_pool2d_backward(queue, g, dy.data(), dx.data());
    const auto want = numeric_gradient(
        [&](const std::vector<double>& at) { return dot(reference::average_pool2d(g, at), dy); },
        exact);
    EXPECT_LT(max_relative_error(dx, want), tolerance);
  }
}

TEST(AveragePool2d, MatchesTheOracleOnEveryTarget) {
  for_each_isa(check_average);
}

TEST(Pool2d, DoesNotDependOnThreads) {
  const PoolGeometry g{.batch = 3,
                       .channels = 13,
                       .height = 33,
                       .width = 31,
                       .kernel_height = 3,
                       .kernel_width = 3,
                       .stride_height = 2,
                       .stride_width = 2,
                       .padding_height = 1,
                       .padding_width = 1};
  const auto x = random_floats(g.batch * g.channels * g.height * g.width, 5);
  const auto dy = random_floats(g.batch * g.channels * g.out_height() * g.out_width(), 6);
  expect_same_on_any_threads([&](Queue& queue) {
    std::vector<float> y(dy.size()), average(dy.size()), dx(x.size()), daverage(x.size());
    std::vector<int32_t> argmax(dy.size());
    max_pool2d(queue, g, x.data(), y.data(), argmax.data());
    max_pool2d_backward(queue, g, argmax.data(), dy.data(), dx.data());
    average_pool2d(queue, g, x.data(), average.data());
    average_pool2d_backward(queue, g, dy.data(), daverage.data());
    return std::array{y, dx, average, daverage};
  });
}

}  // namespace
}  // namespace vitrail::kernels
