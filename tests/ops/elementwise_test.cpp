#include "ops/elementwise.h"

#include <gtest/gtest.h>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

TEST(ElementwiseOps, GradientsMatchDifferences) {
  Operands pair({{2, 3, 5}, {2, 3, 5}});
  check_gradients(pair, [](const Context& context, const Operands& o) {
    return add(context, o.inputs[0], o.inputs[1]);
  });
  Operands one({{2, 3, 5}});
  check_gradients(one, [](const Context& context, const Operands& o) {
    return scale(context, o.inputs[0], -1.5f);
  });
  Operands position({{4, 3, 5}, {1, 3, 5}});
  check_gradients(position, [](const Context& context, const Operands& o) {
    return add_broadcast(context, o.inputs[0], o.inputs[1]);
  });
  Operands scaled({{4, 3, 5}}, {{5}});
  check_gradients(scaled, [](const Context& context, const Operands& o) {
    return layer_scale(context, o.inputs[0], *o.parameters[0]);
  });
}

// The places where two slots could come to share one gradient tensor.
TEST(ElementwiseOps, OneVariableUsedSeveralTimesGathersEveryGradient) {
  Operands twice({{2, 5}});
  check_gradients(twice, [](const Context& context, const Operands& o) {
    return add(context, o.inputs[0], o.inputs[0]);
  });
  Operands residual({{2, 5}, {2, 5}});
  check_gradients(residual, [](const Context& context, const Operands& o) {
    const Variable sum = add(context, o.inputs[0], o.inputs[1]);
    const Variable branch = add(context, scale(context, sum, 3), o.inputs[1]);
    return add(context, add(context, sum, branch), o.inputs[0]);
  });
}

TEST(ElementwiseOps, RefuseShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = Tensor::zeros({2, 3, 5});
  EXPECT_THROW(add(context, x, Tensor::zeros({2, 3, 4})), Error);
  EXPECT_THROW(add_broadcast(context, x, Tensor::zeros({2, 3, 5})), Error);
  EXPECT_THROW(add_broadcast(context, x, Tensor::zeros({1, 4, 5})), Error);
  Operands o({}, {{4}});
  EXPECT_THROW(layer_scale(context, x, *o.parameters[0]), Error);
}

}  // namespace
}  // namespace vitrail
