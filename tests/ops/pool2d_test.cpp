#include "ops/convolution.h"

#include <gtest/gtest.h>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

constexpr WindowOptions kPatches{
    .kernel_height = 2, .kernel_width = 3, .stride_height = 2, .stride_width = 3};
constexpr WindowOptions kStem{.kernel_height = 3,
                              .kernel_width = 3,
                              .stride_height = 2,
                              .stride_width = 2,
                              .padding_height = 1,
                              .padding_width = 1};

TEST(UnfoldOp, GradientsMatchDifferencesInBothOrders) {
  for (const bool channels_last : {false, true})
    for (const WindowOptions& window : {kPatches, kStem}) {
      Operands o({{2, 2, 6, 6}});
      check_gradients(o, [&](const Context& context, const Operands& at) {
        return unfold(context, at.inputs[0], window, channels_last);
      });
    }
}

// Values a step apart decide a maximum the same way on both sides of a difference.
TEST(PoolOps, GradientsMatchDifferences) {
  Operands o({{2, 2, 6, 5}}), spread({{2, 2, 6, 5}});
  const Tensor values = spread.inputs[0].value();
  for (int64_t i = 0; i < values.numel(); ++i)
    values.f32()[i] = static_cast<float>(i * 37 % 127) / 16.0f - 4.0f;
  check_gradients(o, [](const Context& context, const Operands& at) {
    return average_pool2d(context, at.inputs[0], kStem);
  });
  check_gradients(spread, [](const Context& context, const Operands& at) {
    return max_pool2d(context, at.inputs[0], kStem);
  });
}

TEST(WindowOps, RefuseShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = Tensor::zeros({1, 3, 4, 4});
  EXPECT_THROW(unfold(context, Tensor::zeros({3, 4, 4}), kStem), Error);
  EXPECT_THROW(unfold(context, x, {.kernel_height = 5, .kernel_width = 5}), Error);
  EXPECT_THROW(unfold(context, x, {.kernel_height = 0}), Error);
  EXPECT_THROW(max_pool2d(context, x, {.kernel_height = 2, .kernel_width = 2, .padding_height = 2}),
               Error);
}

}  // namespace
}  // namespace vitrail
