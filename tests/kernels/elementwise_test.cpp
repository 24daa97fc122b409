#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::kEpsilon;
using testing::random_floats;

constexpr int64_t kElementCounts[] = {1, 2, 7, 8, 15, 17, 63, 65, 193, 20001};

TEST(Elementwise, ArithmeticIsThatOfFloatsOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t count : kElementCounts) {
      const auto a = random_floats(count, 1), b = random_floats(count, 2);
      std::vector<float> sum(a.size()), product(a.size()), scaled(a.size()), axpy(a.size());
      std::vector<float> filled(a.size());
      add(queue, {.count = count, .a = a.data(), .b = b.data(), .out = sum.data()});
      multiply(queue, {.count = count, .a = a.data(), .b = b.data(), .out = product.data()});
      scale(queue, count, 0.3f, a.data(), scaled.data());
      add_scaled(queue,
                 {.count = count, .a = a.data(), .scale = 0.3f, .b = b.data(), .out = axpy.data()});
      fill(queue, count, 2.5f, filled.data());
      for (int64_t i = 0; i < count; ++i) {
        ASSERT_EQ(sum[i], a[i] + b[i]);
        ASSERT_EQ(product[i], a[i] * b[i]);
        ASSERT_EQ(scaled[i], 0.3f * a[i]);
        ASSERT_NEAR(axpy[i], a[i] + double(0.3f) * b[i], 2 * kEpsilon);  // fused or not
        ASSERT_EQ(filled[i], 2.5f);
      }
    }
  });
}

TEST(Elementwise, BroadcastRepeatsRowsOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t dim : {1, 7, 8, 17, 65})
      for (const int64_t period : {1, 3}) {
        const int64_t rows = 12;
        const auto x = random_floats(rows * dim, 3), vector = random_floats(period * dim, 4);
        std::vector<float> sum(x.size()), product = x;
        add_broadcast(queue, {.rows = rows,
                              .dim = dim,
                              .x = x.data(),
                              .vector = vector.data(),
                              .period = period,
                              .out = sum.data()});
        multiply_broadcast(queue, {.rows = rows,
                                   .dim = dim,
                                   .x = product.data(),
                                   .vector = vector.data(),
                                   .period = period,
                                   .out = product.data()});
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t j = 0; j < dim; ++j) {
            const float other = vector[r % period * dim + j];
            ASSERT_EQ(sum[r * dim + j], x[r * dim + j] + other);
            ASSERT_EQ(product[r * dim + j], x[r * dim + j] * other);
          }
      }
  });
}

TEST(Elementwise, DoesNotDependOnThreads) {
  const auto a = random_floats(100001, 5), b = random_floats(100001, 6);
  expect_same_on_any_threads([&](Queue& queue) {
    std::vector<float> out(a.size());
    add_scaled(queue,
               {.count = 100001, .a = a.data(), .scale = 0.7f, .b = b.data(), .out = out.data()});
    return out;
  });
}

}  // namespace
}  // namespace vitrail::kernels
