#include "ops/dropout.h"

#include <gtest/gtest.h>

#include "kernels/dropout.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

TEST(DropoutOps, GradientsPassThroughTheSameMask) {
  Queue queue(1);
  Context training(queue);
  training.dropout = true;
  training.random = RandomKey(5, 17);
  Operands o({{4, 3, 7}});
  check_gradients(
      o,
      [](const Context& context, const Operands& at) {
        return dropout(context, at.inputs[0], 0.4, "blocks.0.mlp");
      },
      1e-3, &training);
  check_gradients(
      o = Operands({{6, 5}}),
      [](const Context& context, const Operands& at) {
        return drop_path(context, at.inputs[0], 0.4, "blocks.0");
      },
      1e-3, &training);
}

TEST(DropoutOps, AreTheIdentityWhenOff) {
  Queue queue(1);
  Context context(queue);
  const Variable x = Variable::leaf(Tensor::full({8, 4}, 1));
  EXPECT_EQ(dropout(context, x, 0.5, "a").slot(), x.slot());
  EXPECT_EQ(drop_path(context, x, 0.5, "a").slot(), x.slot());
  context.dropout = true;
  EXPECT_EQ(dropout(context, x, 0, "a").slot(), x.slot());
}

TEST(DropoutOps, KeysDecideTheMask) {
  Queue queue(1);
  Context context(queue);
  context.dropout = true;
  const Variable x = Tensor::full({1000}, 1);
  const auto draw = [&](uint64_t step, const char* path) {
    context.random = RandomKey(1, step);
    const Tensor y = dropout(context, x, 0.5, path).value();
    return std::vector<float>(y.values().begin(), y.values().end());
  };
  EXPECT_EQ(draw(0, "a"), draw(0, "a"));
  EXPECT_NE(draw(0, "a"), draw(1, "a"));
  EXPECT_NE(draw(0, "a"), draw(0, "b"));
}

TEST(DropoutOps, RefuseAProbabilityOutOfRange) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = Tensor::full({4}, 1);
  EXPECT_THROW(dropout(context, x, 1.0, "a"), Error);
  EXPECT_THROW(dropout(context, x, -0.1, "a"), Error);
  EXPECT_THROW(drop_path(context, x, 1.5, "a"), Error);
}

}  // namespace
}  // namespace vitrail
