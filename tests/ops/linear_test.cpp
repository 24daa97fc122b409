#include "ops/linear.h"

#include <gtest/gtest.h>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

using kernels::Activation;
using testing::check_gradients;
using testing::Operands;

TEST(LinearOp, GradientsMatchDifferences) {
  Operands plain({{2, 3, 5}}, {{7, 5}, {7}});
  check_gradients(plain, [](const Context& context, const Operands& o) {
    return linear(context, o.inputs[0], *o.parameters[0], o.parameters[1].get());
  });
  Operands no_bias({{4, 5}}, {{3, 5}});
  check_gradients(no_bias, [](const Context& context, const Operands& o) {
    return linear(context, o.inputs[0], *o.parameters[0], nullptr);
  });
}

// check_gradients also holds the chain that training records to the fused epilogue of inference.
TEST(LinearOp, EveryEpilogueAtOnce) {
  Operands o({{2, 3, 5}, {2, 3, 7}}, {{7, 5}, {7}, {7}});
  check_gradients(o, [](const Context& context, const Operands& at) {
    return linear(context, at.inputs[0], *at.parameters[0], at.parameters[1].get(),
                  {.activation = Activation::gelu,
                   .layer_scale = at.parameters[2].get(),
                   .residual = &at.inputs[1],
                   .path = "blocks.0.mlp.fc2"});
  });
}

TEST(LinearOp, DropoutsDrawTheSameMasksBothWays) {
  Queue queue(1);
  Context training(queue);
  training.dropout = true;
  training.random = RandomKey(3, 4);
  Operands o({{4, 3, 5}, {4, 3, 7}}, {{7, 5}, {7}});
  check_gradients(
      o,
      [](const Context& context, const Operands& at) {
        return linear(context, at.inputs[0], *at.parameters[0], at.parameters[1].get(),
                      {.dropout = 0.3,
                       .drop_path = 0.3,
                       .residual = &at.inputs[1],
                       .path = "blocks.0.mlp.fc2"});
      },
      2e-3, &training);
}

TEST(LinearOp, AParameterUsedTwiceGathersBothGradients) {
  Operands o({{3, 5}}, {{5, 5}, {5}});
  check_gradients(o, [](const Context& context, const Operands& at) {
    const Variable once = linear(context, at.inputs[0], *at.parameters[0], at.parameters[1].get());
    return linear(context, once, *at.parameters[0], at.parameters[1].get());
  });
}

TEST(LinearOp, RefusesShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  Operands o({}, {{7, 5}, {6}});
  const Variable x = Tensor::zeros({2, 5}), narrow = Tensor::zeros({2, 4});
  EXPECT_THROW(linear(context, narrow, *o.parameters[0], nullptr), Error);
  EXPECT_THROW(linear(context, x, *o.parameters[0], o.parameters[1].get()), Error);
  EXPECT_THROW(linear(context, x, *o.parameters[0], nullptr, {.residual = &narrow}), Error);
}

}  // namespace
}  // namespace vitrail
