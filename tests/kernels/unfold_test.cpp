#include "kernels/unfold.h"

#include <gtest/gtest.h>

#include "kernels/reference/convolution.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::max_relative_error;
using testing::random_floats;
using testing::sum_tolerance;
using testing::to_double;

const UnfoldGeometry kUnfolds[] = {
    // Side by side, as a ViT's patches: of 16, with a rest that no window covers; of another width,
    // and lines that overlap.
    {.batch = 2,
     .channels = 3,
     .height = 33,
     .width = 52,
     .kernel_height = 16,
     .kernel_width = 16,
     .stride_height = 16,
     .stride_width = 16},
    {.batch = 2,
     .channels = 2,
     .height = 11,
     .width = 27,
     .kernel_height = 4,
     .kernel_width = 9,
     .stride_height = 3,
     .stride_width = 9},
    {.batch = 2,
     .channels = 3,
     .height = 8,
     .width = 12,
     .kernel_height = 4,
     .kernel_width = 4,
     .stride_height = 4,
     .stride_width = 4},
    {.batch = 2,
     .channels = 3,
     .height = 7,
     .width = 5,
     .kernel_height = 3,
     .kernel_width = 3,
     .padding_height = 1,
     .padding_width = 1},
    {.batch = 1,
     .channels = 2,
     .height = 9,
     .width = 11,
     .kernel_height = 7,
     .kernel_width = 7,
     .stride_height = 2,
     .stride_width = 2,
     .padding_height = 3,
     .padding_width = 3},
    {.batch = 1,
     .channels = 1,
     .height = 6,
     .width = 4,
     .kernel_height = 2,
     .kernel_width = 3,
     .stride_height = 3,
     .stride_width = 2,
     .padding_height = 0,
     .padding_width = 2},
    {.batch = 3,
     .channels = 4,
     .height = 1,
     .width = 1,
     .kernel_height = 3,
     .kernel_width = 3,
     .padding_height = 1,
     .padding_width = 1},
    {.batch = 1, .channels = 3, .height = 5, .width = 5},
    // Windows that lie in the padding entirely.
    {.batch = 1,
     .channels = 2,
     .height = 2,
     .width = 2,
     .kernel_height = 2,
     .kernel_width = 2,
     .stride_height = 1,
     .stride_width = 1,
     .padding_height = 4,
     .padding_width = 4},
};

std::vector<float> unfolded(Queue& queue, const UnfoldGeometry& g, const std::vector<float>& x) {
  std::vector<float> columns(static_cast<size_t>(g.rows() * g.columns()), 77.0f);
  unfold(queue, g, x.data(), columns.data());
  return columns;
}

TEST(Unfold, TimesTheWeightIsTheConvolution) {
  Queue queue(1);
  const int64_t outputs = 5;
  for (const UnfoldGeometry& g : kUnfolds) {
    const auto x = random_floats(g.batch * g.channels * g.height * g.width, 1);
    const auto weight = random_floats(outputs * g.columns(), 2), bias = random_floats(outputs, 3);
    const auto columns = unfolded(queue, g, x);
    std::vector<float> y;
    const int64_t pixels = g.out_height() * g.out_width();
    for (int64_t b = 0; b < g.batch; ++b)
      for (int64_t o = 0; o < outputs; ++o)
        for (int64_t p = 0; p < pixels; ++p) {
          float sum = bias[o];
          for (int64_t k = 0; k < g.columns(); ++k)
            sum += columns[(b * pixels + p) * g.columns() + k] * weight[o * g.columns() + k];
          y.push_back(sum);
        }
    EXPECT_LT(max_relative_error(
                  y, reference::conv2d(g, to_double(x), to_double(weight), to_double(bias))),
              sum_tolerance(g.columns()));
  }
}

TEST(Unfold, ChannelLastHoldsTheSamePatchesInAnotherOrder) {
  Queue queue(1);
  for (UnfoldGeometry g : kUnfolds) {
    const auto x = random_floats(g.batch * g.channels * g.height * g.width, 4);
    const auto first = unfolded(queue, g, x);
    g.order = PatchOrder::channel_last;
    const auto last = unfolded(queue, g, x);
    const int64_t window = g.kernel_height * g.kernel_width;
    for (int64_t row = 0; row < g.rows(); ++row)
      for (int64_t c = 0; c < g.channels; ++c)
        for (int64_t k = 0; k < window; ++k)
          ASSERT_EQ(last[row * g.columns() + k * g.channels + c],
                    first[row * g.columns() + c * window + k]);
  }
}

TEST(Fold, IsTheAdjointOfUnfold) {
  Queue queue(1);
  for (const PatchOrder order : {PatchOrder::channel_first, PatchOrder::channel_last})
    for (UnfoldGeometry g : kUnfolds) {
      g.order = order;
      const auto x = random_floats(g.batch * g.channels * g.height * g.width, 5);
      const auto columns = random_floats(g.rows() * g.columns(), 6);
      std::vector<float> image(x.size(), 77.0f);
      fold(queue, g, columns.data(), image.data());
      const auto patches = unfolded(queue, g, x);
      double left = 0, right = 0, size = 1e-30;
      for (size_t i = 0; i < x.size(); ++i) left += double(x[i]) * image[i];
      for (size_t i = 0; i < columns.size(); ++i) {
        right += double(patches[i]) * columns[i];
        size += std::abs(double(patches[i]) * columns[i]);
      }
      EXPECT_LT(std::abs(left - right) / size, sum_tolerance(g.columns()));
    }
}

TEST(Fold, DoesNotDependOnThreads) {
  const UnfoldGeometry g{.batch = 3,
                         .channels = 6,
                         .height = 40,
                         .width = 40,
                         .kernel_height = 3,
                         .kernel_width = 3,
                         .padding_height = 1,
                         .padding_width = 1};
  const auto x = random_floats(g.batch * g.channels * g.height * g.width, 7);
  expect_same_on_any_threads([&](Queue& queue) {
    const auto columns = unfolded(queue, g, x);
    std::vector<float> image(x.size());
    fold(queue, g, columns.data(), image.data());
    return std::pair(columns, image);
  });
}

}  // namespace
}  // namespace vitrail::kernels
