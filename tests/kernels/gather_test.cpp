#include "kernels/gather.h"

#include <gtest/gtest.h>

#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::for_each_isa;
using testing::max_relative_error;
using testing::random_floats;
using testing::sum_tolerance;

std::vector<int64_t> random_index(int64_t count, int64_t rows) {
  Rng rng(5, 1);
  std::vector<int64_t> index(static_cast<size_t>(count));
  for (int64_t& value : index) value = rng.below(rows);
  return index;
}

void check_gather(Queue& queue, int64_t outer, int64_t rows, int64_t picked, int64_t dim) {
  SCOPED_TRACE("rows " + std::to_string(rows) + ", picked " + std::to_string(picked) + ", dim " +
               std::to_string(dim));
  const auto x = random_floats(outer * rows * dim, 1), dy = random_floats(outer * picked * dim, 2);
  const std::vector<int64_t> index = random_index(outer * picked, rows);
  std::vector<float> y(static_cast<size_t>(outer * picked * dim + 1), 7.0f);
  std::vector<float> dx(static_cast<size_t>(outer * rows * dim + 1), 1.0f);
  std::vector<double> want(dx.size(), 1.0);
  gather(queue, {outer, rows, picked, dim, x.data(), index.data(), y.data()});
  gather_backward(queue, {outer, rows, picked, dim, index.data(), dy.data(), dx.data()});
  for (int64_t i = 0; i < outer * picked; ++i)
    for (int64_t j = 0; j < dim; ++j) {
      const int64_t from = (i / picked * rows + index[i]) * dim + j;
      EXPECT_EQ(y[i * dim + j], x[from]);
      want[from] += double(dy[i * dim + j]);
    }
  EXPECT_EQ(y.back(), 7.0f);
  EXPECT_LT(max_relative_error(dx, want), sum_tolerance(picked));
}

TEST(Gather, PicksRowsAndPutsTheirGradientsBackOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t dim : {1, 3, 8, 17, 33}) {
      check_gather(queue, 1, 1, 1, dim);
      check_gather(queue, 3, 5, 11, dim);  // rows are picked more than once
      check_gather(queue, 2, 197, 50, dim);
    }
  });
}

TEST(Gather, OneIndexServesAllSamples) {
  for_each_isa([](Queue& queue) {
    const int64_t outer = 3, rows = 6, picked = 9, dim = 300;
    const auto x = random_floats(outer * rows * dim, 1),
               dy = random_floats(outer * picked * dim, 2);
    const std::vector<int64_t> once = random_index(picked, rows);
    std::vector<int64_t> repeated;
    for (int64_t o = 0; o < outer; ++o) repeated.insert(repeated.end(), once.begin(), once.end());
    std::vector<float> y(dy.size()), dx(x.size()), want_y(dy.size()), want_dx(x.size());
    gather(queue, {outer, rows, picked, dim, x.data(), once.data(), y.data(), true});
    gather_backward(queue, {outer, rows, picked, dim, once.data(), dy.data(), dx.data(), true});
    gather(queue, {outer, rows, picked, dim, x.data(), repeated.data(), want_y.data()});
    gather_backward(queue, {outer, rows, picked, dim, repeated.data(), dy.data(), want_dx.data()});
    EXPECT_EQ(y, want_y);
    EXPECT_EQ(dx, want_dx);
  });
}

TEST(Gather, SameBitsOnAnyThreads) {
  const auto dy = random_floats(64 * 40 * 33, 2);
  const std::vector<int64_t> index = random_index(64 * 40, 7);
  testing::expect_same_on_any_threads([&](Queue& queue) {
    std::vector<float> dx(64 * 7 * 33);
    gather_backward(queue, {64, 7, 40, 33, index.data(), dy.data(), dx.data()});
    return dx;
  });
}

}  // namespace
}  // namespace vitrail::kernels
