#include "kernels/copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::random_tensor;

View permuted(const Tensor& tensor, const std::vector<int>& order) {
  View view = tensor.view();
  for (size_t i = 0; i < order.size(); ++i) {
    view.shape[static_cast<int>(i)] = tensor.shape()[order[i]];
    view.strides[i] = tensor.view().strides[static_cast<size_t>(order[i])];
  }
  return view;
}

float element(const View& view, std::span<const int64_t> index) {
  int64_t at = 0;
  for (size_t i = 0; i < index.size(); ++i) at += index[i] * view.strides[i];
  return view.as<float>()[at];
}

void expect_equal(const View& a, const View& b) {
  ASSERT_EQ(a.shape, b.shape);
  const int rank = a.shape.rank();
  std::array<int64_t, Shape::kMaxRank> index{};
  const auto at = std::span<const int64_t>(index.data(), static_cast<size_t>(rank));
  for (int64_t flat = 0; flat < a.shape.numel(); ++flat) {
    int64_t rest = flat;
    for (int i = rank - 1; i >= 0; --i) {
      index[i] = rest % a.shape[i];
      rest /= a.shape[i];
    }
    ASSERT_EQ(element(a, at), element(b, at)) << "element " << flat;
  }
}

TEST(CopyStrided, EveryPermutationOfFourAxes) {
  Queue queue(1);
  for (const Shape& shape : {Shape{2, 3, 17, 5}, Shape{1, 19, 1, 33}, Shape{3, 1, 2, 64}}) {
    const Tensor from = random_tensor(shape, 1);
    std::vector<int> order{0, 1, 2, 3};
    do {
      const View view = permuted(from, order);
      const Tensor to = Tensor::full(view.shape, 77);
      copy_strided(queue, to.view(), view);
      expect_equal(to.view(), view);
      // And the other way: strided writes from contiguous reads.
      const Tensor back = Tensor::full(shape, 77);
      copy_strided(queue, permuted(back, order), to.view());
      expect_equal(back.view(), from.view());
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST(CopyStrided, ScalarsEmptyViewsAndRepeatedElements) {
  Queue queue(1);
  const Tensor one = Tensor::full({}, 3);
  const Tensor copy = Tensor::full({}, 0);
  copy_strided(queue, copy.view(), one.view());
  EXPECT_EQ(copy.f32()[0], 3);
  const Tensor none = Tensor::empty({3, 0, 2});
  copy_strided(queue, none.view(), none.view());

  const Tensor row = random_tensor({1, 2, 9}, 2);
  View spread = row.view();
  spread.shape[0] = 4;
  spread.strides[0] = 0;
  const Tensor to = Tensor::full({4, 2, 9}, 77);
  copy_strided(queue, to.view(), spread);
  expect_equal(to.view(), spread);
}

TEST(CopyStrided, WritesOnlyItsSlice) {
  Queue queue(1);
  const Tensor whole = Tensor::full({3, 7, 5}, 77);
  const Tensor part = random_tensor({3, 2, 5}, 3);
  View slice = whole.view();
  slice.data = whole.f32() + 4 * 5;
  slice.shape = part.shape();
  copy_strided(queue, slice, part.view());
  expect_equal(slice, part.view());
  int64_t untouched = 0;
  for (const float value : whole.values()) untouched += value == 77;
  EXPECT_EQ(untouched, 3 * 5 * 5);
}

TEST(AddStrided, AddsToWhatIsThere) {
  Queue queue(1);
  const Tensor from = random_tensor({4, 33, 18}, 4);
  const View view = permuted(from, {2, 0, 1});
  const Tensor once = Tensor::full(view.shape, 0), sum = Tensor::full(view.shape, 1);
  copy_strided(queue, once.view(), view);
  add_strided(queue, sum.view(), view);
  for (int64_t i = 0; i < once.numel(); ++i) ASSERT_EQ(sum.f32()[i], 1 + once.f32()[i]);
}

TEST(CopyStrided, DoesNotDependOnThreads) {
  const Tensor from = random_tensor({3, 300, 130}, 5);
  expect_same_on_any_threads([&](Queue& queue) {
    const View view = permuted(from, {0, 2, 1});
    const Tensor to = Tensor::full(view.shape, 77);
    copy_strided(queue, to.view(), view);
    return std::vector<float>(to.values().begin(), to.values().end());
  });
}

}  // namespace
}  // namespace vitrail::kernels
