#include "ops/group_norm.h"

#include <gtest/gtest.h>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

TEST(GroupNormOp, GradientsMatchDifferences) {
  Operands plain({{2, 3, 2, 6}}, {{6}, {6}});
  check_gradients(plain, [](const Context& context, const Operands& o) {
    return group_norm(context, o.inputs[0], {*o.parameters[0], *o.parameters[1], 3, 1e-3});
  });
  Operands residual({{2, 5, 6}, {2, 5, 6}}, {{6}, {6}});
  check_gradients(residual, [](const Context& context, const Operands& o) {
    return group_norm(context, o.inputs[0], {*o.parameters[0], *o.parameters[1], 2, 1e-3},
                      {.residual = &o.inputs[1]});
  });
}

// Differences cannot be taken across ReLU's corner: values are spread so that none is near it.
TEST(GroupNormOp, GradientsPassReluWhereItIsOpen) {
  Operands o({{2, 4, 6}, {2, 4, 6}}, {{6}, {6}});
  float* shift = o.inputs[1].value().f32();
  for (int64_t i = 0; i < 48; ++i) shift[i] = i % 3 == 0 ? -9.0f : 9.0f + shift[i];
  check_gradients(o, [](const Context& context, const Operands& at) {
    return group_norm(context, at.inputs[0], {*at.parameters[0], *at.parameters[1], 2, 1e-3},
                      {.relu = true, .residual = &at.inputs[1]});
  });
}

// The shortcut of a residual block is the block's own input: both gradients meet in one slot.
TEST(GroupNormOp, AResidualMayBeTheInput) {
  for (const bool relu : {false, true}) {
    Operands o({{2, 5, 4}}, {{4}, {4}});
    for (float& value : o.inputs[0].value().values()) value += value > 0 ? 3.0f : -3.0f;
    check_gradients(o, [relu](const Context& context, const Operands& at) {
      return group_norm(context, at.inputs[0], {*at.parameters[0], *at.parameters[1], 1, 1e-3},
                        {.relu = relu, .residual = &at.inputs[0]});
    });
  }
}

TEST(GroupNormOp, FrozenWeightsStillPassGradientsToTheInput) {
  Operands o({{2, 5, 4}}, {{4}, {4}});
  for (const auto& parameter : o.parameters) parameter->set_trainable(false);
  Queue queue(1);
  Context context(queue);
  Tape tape;
  context.tape = &tape;
  const Variable y = group_norm(context, o.inputs[0], {*o.parameters[0], *o.parameters[1], 2});
  tape.backward(queue, y);
  EXPECT_TRUE(o.inputs[0].gradient().defined());
  EXPECT_FALSE(o.parameters[0]->gradient().defined());
}

TEST(GroupNormOp, RefusesWhatDoesNotFit) {
  Operands o({{2, 5, 6}, {2, 5, 5}}, {{6}, {6}, {5}});
  const Parameter &six = *o.parameters[0], &five = *o.parameters[2];
  Queue queue(1);
  const Context context(queue);
  EXPECT_THROW(group_norm(context, o.inputs[0], {six, six, 4}), Error);
  EXPECT_THROW(group_norm(context, o.inputs[0], {six, six, 0}), Error);
  EXPECT_THROW(group_norm(context, o.inputs[0], {five, five, 1}), Error);
  EXPECT_THROW(group_norm(context, o.inputs[0], {six, five, 1}), Error);
  EXPECT_THROW(group_norm(context, o.inputs[0], {six, six, 2}, {.residual = &o.inputs[1]}), Error);
}

}  // namespace
}  // namespace vitrail
