#include "kernels/batched_gemm.h"

#include <gtest/gtest.h>

#include "kernels/copy.h"
#include "kernels/reference/gemm.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::max_relative_error;
using testing::random_tensor;
using testing::sum_tolerance;
using testing::to_double;

View swapped(View view) {
  const int last = view.shape.rank() - 1;
  std::swap(view.shape[last], view.shape[last - 1]);
  std::swap(view.strides[static_cast<size_t>(last)], view.strides[static_cast<size_t>(last - 1)]);
  return view;
}

std::vector<double> matrix_of(const View& view, int64_t outer, int64_t inner) {
  std::vector<double> values;
  const int rank = view.shape.rank();
  const float* from = view.as<float>() + outer * view.strides[0] + inner * view.strides[1];
  for (int64_t r = 0; r < view.shape[rank - 2]; ++r)
    for (int64_t c = 0; c < view.shape[rank - 1]; ++c)
      values.push_back(from[r * view.strides[2] + c * view.strides[3]]);
  return values;
}

struct Sizes {
  int64_t m, n, k;
};

TEST(BatchedGemm, MatchesTheOracleOnEveryTarget) {
  testing::for_each_isa([](Queue& queue) {
    for (const auto& [m, n, k] : {Sizes{1, 1, 1}, Sizes{7, 5, 3}, Sizes{17, 33, 65},
                                  Sizes{49, 49, 32}, Sizes{5, 70, 300}, Sizes{3, 4, 0}})
      for (const bool transpose_a : {false, true})
        for (const bool transpose_b : {false, true}) {
          SCOPED_TRACE(std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k));
          // Three by two products; a is repeated over the first axis, b over the second.
          const Tensor a = random_tensor(transpose_a ? Shape{1, 2, k, m} : Shape{1, 2, m, k}, 1);
          const Tensor b = random_tensor(transpose_b ? Shape{3, 1, n, k} : Shape{3, 1, k, n}, 2);
          const View left = broadcast_to(transpose_a ? swapped(a.view()) : a.view(), {3, 2, m, k});
          const View right = broadcast_to(transpose_b ? swapped(b.view()) : b.view(), {3, 2, k, n});
          const Tensor out = random_tensor({3, 2, m, n}, 3);
          batched_gemm(queue, {.a = left, .b = right, .out = out.view()});
          for (int64_t i = 0; i < 3; ++i)
            for (int64_t j = 0; j < 2; ++j) {
              const auto want = reference::gemm({.m = m,
                                                 .n = n,
                                                 .k = k,
                                                 .a = matrix_of(left, i, j),
                                                 .b = matrix_of(right, i, j)});
              const auto got = matrix_of(out.view(), i, j);
              if (k == 0)
                EXPECT_EQ(got, want);
              else
                EXPECT_LT(max_relative_error(got, want), sum_tolerance(k));
            }
        }
  });
}

TEST(BatchedGemm, TakesStacksWithoutElements) {
  Queue queue(2);
  const Tensor a = Tensor::zeros({0, 3, 4}), b = Tensor::zeros({0, 4, 5});
  const Tensor out = Tensor::zeros({0, 3, 5});
  batched_gemm(queue, {.a = a.view(), .b = b.view(), .out = out.view()});
}

TEST(BatchedGemm, SameBitsOnAnyThreads) {
  for (const int64_t count : {1, 3, 40}) {
    const Tensor a = random_tensor({count, 49, 33}, 4), b = random_tensor({count, 33, 70}, 5);
    testing::expect_same_on_any_threads([&](Queue& queue) {
      const Tensor out = Tensor::empty({count, 49, 70});
      batched_gemm(queue, {.a = a.view(), .b = b.view(), .out = out.view()});
      return std::vector<float>(out.values().begin(), out.values().end());
    });
  }
}

}  // namespace
}  // namespace vitrail::kernels
