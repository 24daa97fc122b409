#include "ops/elementwise.h"

#include <gtest/gtest.h>

#include "support/errors.h"
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

using Binary = Variable (*)(const Context&, const Variable&, const Variable&);

TEST(ElementwiseOps, GradientsOfRepeatedOperandsMatchDifferences) {
  const std::pair<Shape, Shape> kShapes[] = {
      {{2, 3, 4}, {2, 3, 4}}, {{2, 3, 4}, {4}},
      {{2, 3, 4}, {3, 1}},    {{2, 1, 4}, {3, 1}},
      {{1, 3, 1}, {2, 3, 4}}, {{2, 3, 4}, {1, 1, 1}},
      {{1}, {2, 3}},          {{2, 1, 3, 1, 2}, {1, 4, 1, 2, 2}}};
  for (const auto& [a, b] : kShapes) {
    SCOPED_TRACE(a.str() + " and " + b.str());
    Operands o({a, b});
    for (float& divisor : o.inputs[1].value().values()) divisor = 1.5f + divisor / 2;
    for (const Binary operation : {Binary(add), Binary(subtract), Binary(multiply), Binary(divide)})
      for (const bool swapped : {false, true}) {
        if (swapped && operation == Binary(divide)) continue;
        Operands at({a, b});
        for (size_t i = 0; i < 2; ++i)
          std::ranges::copy(o.inputs[i].value().values(), at.inputs[i].value().f32());
        check_gradients(at, [&](const Context& context, const Operands& p) {
          return operation(context, p.inputs[swapped ? 1 : 0], p.inputs[swapped ? 0 : 1]);
        });
      }
  }
}

TEST(ElementwiseOps, ConstantsAreOperandsToo) {
  for (const Binary operation : {Binary(add), Binary(subtract), Binary(multiply), Binary(divide)})
    for (const int side : {0, 1}) {
      const Tensor constant = testing::random_tensor({3, 1}, 5, 1, 2);
      Operands o({{2, 3, 4}});
      for (float& value : o.inputs[0].value().values()) value = 1.5f + value / 2;
      check_gradients(o, [&](const Context& context, const Operands& at) {
        return side == 0 ? operation(context, at.inputs[0], constant)
                         : operation(context, constant, at.inputs[0]);
      });
    }
}

TEST(ElementwiseOps, GradientsOfFunctionsMatchDifferences) {
  using Function = Variable (*)(const Context&, const Variable&);
  for (const Function function : {Function(exp), Function(log), Function(sqrt), Function(rsqrt)}) {
    Operands o({{2, 3, 5}});
    for (float& value : o.inputs[0].value().values()) value = 1.5f + value;
    check_gradients(o, [&](const Context& context, const Operands& at) {
      return function(context, at.inputs[0]);
    });
  }
}

// The places where two slots could come to share one gradient tensor.
TEST(ElementwiseOps, OneVariableUsedSeveralTimesGathersEveryGradient) {
  Operands twice({{2, 5}});
  check_gradients(twice, [](const Context& context, const Operands& o) {
    return add(context, o.inputs[0], o.inputs[0]);
  });
  Operands squared({{2, 5}}), difference({{2, 5}});
  check_gradients(squared, [](const Context& context, const Operands& o) {
    return multiply(context, o.inputs[0], o.inputs[0]);
  });
  check_gradients(difference, [](const Context& context, const Operands& o) {
    return subtract(context, scale(context, o.inputs[0], 2), o.inputs[0]);
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
  EXPECT_ERROR(multiply(context, x, Tensor::zeros({2, 1})), "do not fit together");
  EXPECT_ERROR(divide(context, x, Tensor::zeros({3, 3, 5})), "do not fit together");
  EXPECT_EQ(multiply(context, Tensor::zeros({0, 3}), Tensor::zeros({3})).shape(), Shape({0, 3}));
  EXPECT_THROW(add_broadcast(context, x, Tensor::zeros({2, 3, 5})), Error);
  EXPECT_THROW(add_broadcast(context, x, Tensor::zeros({1, 4, 5})), Error);
  Operands o({}, {{4}});
  EXPECT_THROW(layer_scale(context, x, *o.parameters[0]), Error);
}

}  // namespace
}  // namespace vitrail
