#include "ops/interpolate.h"

#include <gtest/gtest.h>

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
  EXPECT_THROW(interpolate_tokens(context, Tensor::zeros({2, 6, 4}), resize), Error);
}

}  // namespace
}  // namespace vitrail
