#include "kernels/reduce.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/weighted_sum.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::kEpsilon;
using testing::max_relative_error;
using testing::random_floats;
using testing::sum_tolerance;

struct SumCase {
  int64_t rows, dim, period = 1, gap = 0;
  bool weighted = false;
};

void check_sum(Queue& queue, const SumCase& c) {
  SCOPED_TRACE("rows " + std::to_string(c.rows) + ", dim " + std::to_string(c.dim) + ", period " +
               std::to_string(c.period));
  const int64_t stride = c.dim + c.gap;
  const auto x = random_floats(c.rows * stride, 1), y = random_floats(c.rows * stride, 2);
  std::vector<float> out(static_cast<size_t>(c.period * c.dim + 1), 1.0f);
  std::vector<double> want(out.size(), 1.0);
  sum_rows(queue, {.rows = c.rows,
                   .dim = c.dim,
                   .x = x.data(),
                   .x_stride = stride,
                   .y = c.weighted ? y.data() : nullptr,
                   .y_stride = stride,
                   .period = c.period,
                   .out = out.data()});
  for (int64_t r = 0; r < c.rows; ++r)
    for (int64_t j = 0; j < c.dim; ++j)
      want[r % c.period * c.dim + j] +=
          double(x[r * stride + j]) * (c.weighted ? y[r * stride + j] : 1.0);
  EXPECT_LT(max_relative_error(out, want), sum_tolerance(c.rows / c.period));
  EXPECT_EQ(out.back(), 1.0f);
}

TEST(SumRows, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t dim : {1, 2, 7, 8, 15, 17, 63, 65, 193, 400})
      for (const int64_t rows : {1, 2, 63, 65, 300}) check_sum(queue, {rows, dim});
    check_sum(queue, {.rows = 30, .dim = 33, .period = 5});
    check_sum(queue, {.rows = 600, .dim = 17, .period = 3, .gap = 4});
    check_sum(queue, {.rows = 100, .dim = 150, .period = 1, .gap = 9, .weighted = true});
    check_sum(queue, {.rows = 100, .dim = 13, .period = 1, .gap = 0, .weighted = true});
  });
}

TEST(MeanAxis, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t inner : {1, 7, 8, 17, 65})
      for (const int64_t axis : {1, 2, 49}) {
        const int64_t outer = 3;
        const auto x = random_floats(outer * axis * inner, 3), dy = random_floats(outer * inner, 4);
        std::vector<float> out(dy.size()), dx(x.size());
        std::vector<double> want(dy.size()), want_dx(x.size());
        mean_axis(queue,
                  {.outer = outer, .axis = axis, .inner = inner, .x = x.data(), .out = out.data()});
        mean_axis_backward(
            queue,
            {.outer = outer, .axis = axis, .inner = inner, .dy = dy.data(), .dx = dx.data()});
        for (int64_t o = 0; o < outer; ++o)
          for (int64_t a = 0; a < axis; ++a)
            for (int64_t i = 0; i < inner; ++i) {
              want[o * inner + i] += double(x[(o * axis + a) * inner + i]) / double(axis);
              want_dx[(o * axis + a) * inner + i] = double(dy[o * inner + i]) / double(axis);
            }
        EXPECT_LT(max_relative_error(out, want), sum_tolerance(axis));
        EXPECT_LT(max_relative_error(dx, want_dx), 2 * kEpsilon);
      }
  });
}

TEST(WeightedSum, MatchesTheOracleBothWaysOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t inner : {1, 7, 8, 17, 65})
      for (const int64_t axis : {1, 2, 49}) {
        const int64_t outer = 3;
        const auto weights = random_floats(outer * axis, 5);
        const auto x = random_floats(outer * axis * inner, 6), dy = random_floats(outer * inner, 7);
        std::vector<float> out(dy.size()), dweights(weights.size()), dx(x.size());
        std::vector<double> want(dy.size()), want_dw(weights.size()), want_dx(x.size());
        weighted_sum(queue, {.outer = outer,
                             .axis = axis,
                             .inner = inner,
                             .weights = weights.data(),
                             .x = x.data(),
                             .out = out.data()});
        weighted_sum_backward(queue, {.outer = outer,
                                      .axis = axis,
                                      .inner = inner,
                                      .weights = weights.data(),
                                      .x = x.data(),
                                      .dy = dy.data(),
                                      .dweights = dweights.data(),
                                      .dx = dx.data()});
        for (int64_t o = 0; o < outer; ++o)
          for (int64_t a = 0; a < axis; ++a)
            for (int64_t i = 0; i < inner; ++i) {
              const int64_t row = o * axis + a, at = row * inner + i;
              want[o * inner + i] += double(weights[row]) * x[at];
              want_dw[row] += double(dy[o * inner + i]) * x[at];
              want_dx[at] = double(weights[row]) * dy[o * inner + i];
            }
        EXPECT_LT(max_relative_error(out, want), sum_tolerance(axis));
        EXPECT_LT(max_relative_error(dweights, want_dw), sum_tolerance(inner));
        EXPECT_LT(max_relative_error(dx, want_dx), 2 * kEpsilon);
      }
  });
}

TEST(SumAxis, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t axis : {0, 1, 3, 65, 1000, 20001})
      for (const int64_t inner : {1, 2, 17, 70, 300}) {
        if (axis * inner > 200000) continue;
        const int64_t outer = 3;
        const auto x = random_floats(outer * axis * inner, 10);
        const auto y = random_floats(outer * axis * inner, 11);
        std::vector<float> sum(static_cast<size_t>(outer * inner) + 1, 77), dot = sum;
        std::vector<double> want(sum.size() - 1), want_dot = want;
        sum_axis(queue,
                 {.outer = outer, .axis = axis, .inner = inner, .x = x.data(), .out = sum.data()});
        sum_axis(queue, {.outer = outer,
                         .axis = axis,
                         .inner = inner,
                         .x = x.data(),
                         .y = y.data(),
                         .out = dot.data()});
        for (size_t i = 0; i < x.size(); ++i) {
          const auto width = static_cast<size_t>(inner);
          const size_t to = i / (static_cast<size_t>(axis) * width) * width + i % width;
          want[to] += x[i];
          want_dot[to] += double(x[i]) * y[i];
        }
        EXPECT_EQ(sum.back(), 77);
        sum.pop_back();
        dot.resize(want_dot.size());
        // Sums of both signs may be small: the terms count.
        const double bound = sum_tolerance(axis) * std::sqrt(double(axis) + 1);
        for (size_t i = 0; i < want.size(); ++i) {
          ASSERT_NEAR(sum[i], want[i], bound) << axis << " by " << inner;
          ASSERT_NEAR(dot[i], want_dot[i], bound) << axis << " by " << inner;
        }
      }
  });
}

TEST(MaxAxis, FindsTheFirstOfTiesOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t axis : {1, 2, 7, 8, 16, 17, 100})
      for (const int64_t inner : {1, 3, 16, 37}) {
        const int64_t outer = 3, size = axis * inner;
        auto x = random_floats(outer * size, 12);
        for (float& value : x) value = std::round(value * 4);  // ties
        if (size > 50) x[30] = x[41] = std::nanf("");
        const auto dy = random_floats(outer * inner, 13);
        std::vector<float> y(dy.size() + 1, 77), dx(x.size(), 77), want_dx(x.size());
        std::vector<int32_t> index(dy.size());
        max_axis(queue, {outer, axis, inner, x.data(), y.data(), index.data()});
        max_axis_backward(queue, {outer, axis, inner, index.data(), dy.data(), dx.data()});
        for (int64_t at = 0; at < outer * inner; ++at) {
          const float* first = x.data() + at / inner * size + at % inner;
          int64_t best = 0;
          for (int64_t a = 1; a < axis; ++a) {
            const float value = first[a * inner], highest = first[best * inner];
            if (value > highest || (std::isnan(value) && !std::isnan(highest))) best = a;
          }
          ASSERT_EQ(index[at], best) << axis << " by " << inner;
          if (std::isnan(first[best * inner]))
            ASSERT_TRUE(std::isnan(y[at]));
          else
            ASSERT_EQ(y[at], first[best * inner]);
          want_dx[at / inner * size + best * inner + at % inner] = dy[at];
        }
        EXPECT_EQ(y.back(), 77);
        EXPECT_EQ(dx, want_dx);
      }
  });
}

TEST(SumSquares, MatchesTheOracleAndShowsNan) {
  for_each_isa([](Queue& queue) {
    for (const int64_t count : {1, 7, 8, 193, 1024, 1025, 100003}) {
      auto x = random_floats(count, 8);
      double sum = 2, want = 2;
      for (const float value : x) want += double(value) * value;
      sum_squares(queue, count, x.data(), &sum);
      EXPECT_NEAR(sum / want, 1, 20 * kEpsilon);
      x[static_cast<size_t>(count / 2)] = std::nanf("");
      sum_squares(queue, count, x.data(), &sum);
      EXPECT_TRUE(std::isnan(sum));
    }
  });
}

TEST(Reduce, SquaresOfSeveralArraysAddUp) {
  Queue queue(2);
  const auto a = random_floats(70001, 1), b = random_floats(3, 2), c = random_floats(65536, 3);
  const std::vector<std::span<const float>> arrays{a, b, {}, c};
  double together = 0, apart = 0;
  sum_squares(queue, arrays, &together);
  for (const auto& array : arrays)
    sum_squares(queue, static_cast<int64_t>(array.size()), array.data(), &apart);
  EXPECT_NEAR(together / apart, 1, 1e-15);
}

TEST(Reduce, DoesNotDependOnThreads) {
  const int64_t rows = 777, dim = 389;
  const auto x = random_floats(rows * dim, 9);
  expect_same_on_any_threads([&](Queue& queue) {
    std::vector<float> columns(dim), tokens(7 * dim), mean(dim);
    sum_rows(queue,
             {.rows = rows, .dim = dim, .x = x.data(), .x_stride = dim, .out = columns.data()});
    sum_rows(queue, {.rows = rows,
                     .dim = dim,
                     .x = x.data(),
                     .x_stride = dim,
                     .period = 7,
                     .out = tokens.data()});
    mean_axis(queue, {.outer = 1, .axis = rows, .inner = dim, .x = x.data(), .out = mean.data()});
    double squares = 0;
    sum_squares(queue, rows * dim, x.data(), &squares);
    std::vector<float> total(1), rows_of_one(rows), grouped(7 * dim);
    sum_axis(queue,
             {.outer = 1, .axis = rows * dim, .inner = 1, .x = x.data(), .out = total.data()});
    sum_axis(queue,
             {.outer = rows, .axis = dim, .inner = 1, .x = x.data(), .out = rows_of_one.data()});
    sum_axis(queue,
             {.outer = 7, .axis = rows / 7, .inner = dim, .x = x.data(), .out = grouped.data()});
    return std::tuple(columns, tokens, mean, squares, total, rows_of_one, grouped);
  });
}

}  // namespace
}  // namespace vitrail::kernels
