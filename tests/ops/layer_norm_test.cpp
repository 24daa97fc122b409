#include "ops/layer_norm.h"

#include <gtest/gtest.h>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

TEST(LayerNormOp, GradientsMatchDifferences) {
  Operands both({{2, 3, 9}}, {{9}, {9}});
  check_gradients(both, [](const Context& context, const Operands& o) {
    return layer_norm(context, o.inputs[0], {*o.parameters[0], o.parameters[1].get(), 1e-5});
  });
  Operands no_beta({{4, 7}}, {{7}});
  check_gradients(no_beta, [](const Context& context, const Operands& o) {
    return layer_norm(context, o.inputs[0], {*o.parameters[0], nullptr, 1e-5});
  });
}

TEST(LayerNormOp, FrozenWeightsStillPassGradientsToTheInput) {
  Operands o({{2, 5}}, {{5}, {5}});
  o.parameters[0]->set_trainable(false);
  o.parameters[1]->set_trainable(false);
  Queue queue(1);
  Context context(queue);
  Tape tape;
  context.tape = &tape;
  const Variable y =
      layer_norm(context, o.inputs[0], {*o.parameters[0], o.parameters[1].get(), 1e-5});
  tape.backward(queue, y);
  EXPECT_TRUE(o.inputs[0].gradient().defined());
  EXPECT_FALSE(o.parameters[0]->gradient().defined());
}

TEST(LayerNormOp, RefusesShapesThatDoNotFit) {
  Operands o({{2, 5}}, {{4}, {5}});
  Queue queue(1);
  const Context context(queue);
  EXPECT_THROW(layer_norm(context, o.inputs[0], {*o.parameters[0], nullptr, 1e-5}), Error);
  EXPECT_THROW(layer_norm(context, o.inputs[0], {*o.parameters[1], o.parameters[0].get(), 1e-5}),
               Error);
}

}  // namespace
}  // namespace vitrail
