#include "ops/interpolate.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

TEST(InterpolateOp, GradientsMatchDifferences) {
  for (const bool antialias : {false, true}) {
    const GridResize resize{
        .antialias = antialias, .in_height = 3, .in_width = 4, .out_height = 5, .out_width = 2};
    Operands o({{1, 12, 3}});
    check_gradients(o, [&](const Context& context, const Operands& at) {
      return interpolate_tokens(context, at.inputs[0], resize);
    });
  }
}

TEST(InterpolateOp, GradientsOfMapsMatchDifferences) {
  for (const MapOrder order : {MapOrder::channels_first, MapOrder::channels_last})
    for (const auto mode : {kernels::InterpolateMode::bilinear, kernels::InterpolateMode::bicubic})
      for (const bool antialias : {false, true})
        for (const bool align_corners : {false, true}) {
          Operands o({{2, 3, 4, 3}});
          check_gradients(o, [&](const Context& context, const Operands& at) {
            return interpolate(context, at.inputs[0], order,
                               {.mode = mode,
                                .antialias = antialias,
                                .align_corners = align_corners,
                                .out_height = 2,
                                .out_width = 5});
          });
        }
}

TEST(InterpolateOp, TokensOfABatchAreEachInterpolated) {
  Queue queue(2);
  const Context context(queue);
  const GridResize resize{.in_height = 2, .in_width = 3, .out_height = 4, .out_width = 4};
  const Tensor tokens = testing::random_tensor({3, 6, 5}, 2);
  const Tensor all = interpolate_tokens(context, tokens, resize).value();
  ASSERT_EQ(all.shape(), Shape({3, 16, 5}));
  for (int64_t b = 0; b < 3; ++b) {
    const Tensor one = interpolate_tokens(context, tokens.rows(b, b + 1), resize).value();
    EXPECT_TRUE(std::ranges::equal(one.values(), all.rows(b, b + 1).values()));
  }
  Operands o({{2, 6, 2}});
  check_gradients(o, [&](const Context& c, const Operands& at) {
    return interpolate_tokens(c, at.inputs[0], resize);
  });
}

TEST(InterpolateOp, KeepsConstantsAndTheGridItHas) {
  Queue queue(1);
  const Context context(queue);
  const Tensor same =
      interpolate_tokens(context, Tensor::full({1, 6, 4}, 2.5f),
                         {.in_height = 2, .in_width = 3, .out_height = 7, .out_width = 5})
          .value();
  ASSERT_EQ(same.shape(), Shape({1, 35, 4}));
  for (const float value : same.values()) EXPECT_NEAR(value / 2.5f, 1, 1e-6);
  const Tensor grid = testing::random_tensor({1, 6, 4}, 1);
  const Tensor kept =
      interpolate_tokens(context, grid,
                         {.in_height = 2, .in_width = 3, .out_height = 2, .out_width = 3})
          .value();
  EXPECT_LT(testing::max_relative_error(kept.values(), grid.values()), 1e-6);
}

TEST(InterpolateOp, RefusesTokensThatAreNotTheGrid) {
  Queue queue(1);
  const Context context(queue);
  const GridResize resize{.in_height = 2, .in_width = 3, .out_height = 4, .out_width = 4};
  EXPECT_THROW(interpolate_tokens(context, Tensor::zeros({1, 7, 4}), resize), Error);
  EXPECT_THROW(interpolate_tokens(context, Tensor::zeros({6, 4}), resize), Error);
}

TEST(InterpolateOp, RefusesMapsWithoutPixels) {
  Queue queue(1);
  const Context context(queue);
  const MapResize two{.out_height = 2, .out_width = 2};
  EXPECT_ERROR(interpolate(context, Tensor::zeros({1, 2, 0, 3}), MapOrder::channels_first, two),
               "each side needs a pixel");
  EXPECT_ERROR(interpolate(context, Tensor::zeros({1, 2, 3, 3}), MapOrder::channels_last,
                           {.out_height = 0, .out_width = 2}),
               "each side needs a pixel");
  EXPECT_ERROR(interpolate(context, Tensor::zeros({2, 3, 3}), MapOrder::channels_last, two),
               "four axes");
  EXPECT_EQ(
      interpolate(context, Tensor::zeros({0, 2, 3, 3}), MapOrder::channels_first, two).shape(),
      Shape({0, 2, 2, 2}));
}

}  // namespace
}  // namespace vitrail
