#include "kernels/order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::random_floats;

// Few different values, so that there are many ties.
std::vector<float> tied(int64_t count, uint64_t seed) {
  std::vector<float> values = random_floats(count, seed);
  for (float& value : values) value = std::round(value * 3);
  return values;
}

TEST(CumulativeMaximum, IsTheLargestSoFarAndTheLastOfTies) {
  Queue queue(2);
  for (const int64_t inner : {1, 5})
    for (const int64_t axis : {1, 2, 9}) {
      const int64_t outer = 3, size = axis * inner;
      const auto x = tied(outer * size, 1), dy = random_floats(outer * size, 2);
      std::vector<float> y(x.size()), dx(x.size()), want(x.size());
      std::vector<int32_t> index(x.size());
      cumulative_maximum(queue, {outer, axis, inner, x.data(), y.data(), index.data()});
      cumulative_maximum_backward(queue, {outer, axis, inner, index.data(), dy.data(), dx.data()});
      for (int64_t at = 0; at < outer * size; ++at) {
        const int64_t first = at / size * size + at % inner, a = at % size / inner;
        int64_t best = 0;
        for (int64_t i = 1; i <= a; ++i)
          if (x[first + i * inner] >= x[first + best * inner]) best = i;
        EXPECT_EQ(y[at], x[first + best * inner]);
        EXPECT_EQ(index[at], best);
        want[first + best * inner] += dy[at];
      }
      EXPECT_EQ(dx, want);
    }
}

TEST(CumulativeMaximum, StaysNaNOnceItIs) {
  Queue queue(1);
  const float nan = std::nanf("");
  const std::vector<float> x{1, nan, 5, nan};
  std::vector<float> y(4);
  std::vector<int32_t> index(4);
  cumulative_maximum(queue, {1, 4, 1, x.data(), y.data(), index.data()});
  EXPECT_EQ(y[0], 1);
  for (int i = 1; i < 4; ++i) EXPECT_TRUE(std::isnan(y[i]));
  EXPECT_EQ(index, (std::vector<int32_t>{0, 1, 1, 3}));
}

TEST(TopK, SortsTheLargestAndPutsTheirGradientsBack) {
  testing::expect_same_on_any_threads([](Queue& queue) {
    std::vector<float> all;
    for (const auto& [dim, k] : {std::pair{1, 1}, {7, 3}, {64, 64}, {100, 0}, {33, 1}}) {
      const int64_t rows = 5;
      const auto x = tied(rows * dim, 3), dy = random_floats(rows * k + 1, 4);
      std::vector<float> values(static_cast<size_t>(rows * k)), dx(x.size(), 7), want(x.size());
      std::vector<int64_t> indices(values.size());
      top_k(queue, {rows, dim, k, x.data(), values.data(), indices.data()});
      top_k_backward(queue, {rows, dim, k, indices.data(), dy.data(), dx.data()});
      for (int64_t row = 0; row < rows; ++row) {
        std::vector<std::pair<float, int64_t>> order;
        for (int64_t i = 0; i < dim; ++i) order.emplace_back(-x[row * dim + i], i);
        std::ranges::sort(order);
        for (int64_t i = 0; i < k; ++i) {
          EXPECT_EQ(values[row * k + i], -order[i].first);
          EXPECT_EQ(indices[row * k + i], order[i].second);
          want[row * dim + order[i].second] = dy[row * k + i];
        }
      }
      EXPECT_EQ(dx, want);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  });
}

TEST(TopK, NaNIsTheLargest) {
  Queue queue(1);
  const std::vector<float> x{1, INFINITY, std::nanf(""), -2};
  std::vector<float> values(3);
  std::vector<int64_t> indices(3);
  top_k(queue, {1, 4, 3, x.data(), values.data(), indices.data()});
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(indices, (std::vector<int64_t>{2, 1, 0}));
}

}  // namespace
}  // namespace vitrail::kernels
