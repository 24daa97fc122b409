#include "ops/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/running_statistics.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

// The last two parameters are the running mean and variance.
BatchNormWeights weights_of(const Operands& o) {
  return {*o.parameters[0], *o.parameters[1], *o.parameters[2], *o.parameters[3], 1e-3};
}

Operands operands(const std::vector<Shape>& inputs, int64_t channels) {
  const Shape shape{channels};
  Operands o(inputs, {shape, shape, shape, shape});
  for (const size_t buffer : {2, 3}) o.parameters[buffer]->set_trainable(false);
  for (float& variance : o.parameters[3]->value().values()) variance = 1.5f + 0.5f * variance;
  return o;
}

Variable training_norm(const Context& context, const Operands& o, const NormEpilogue& epilogue) {
  Context training = context;
  training.batch_statistics = true;
  return batch_norm(training, o.inputs[0], weights_of(o), epilogue);
}

TEST(BatchNormOp, GradientsMatchDifferences) {
  Operands plain = operands({{2, 3, 2, 6}}, 6);
  check_gradients(plain, [](const Context& context, const Operands& o) {
    return training_norm(context, o, {});
  });
  Operands residual = operands({{2, 5, 6}, {2, 5, 6}}, 6);
  check_gradients(residual, [](const Context& context, const Operands& o) {
    return training_norm(context, o, {.residual = &o.inputs[1]});
  });
  Operands constant = operands({{2, 3, 6}}, 6);
  check_gradients(constant, [](const Context& context, const Operands& o) {
    return batch_norm(context, o.inputs[0], weights_of(o));
  });
}

// Differences cannot be taken across ReLU's corner: values are spread so that none is near it.
TEST(BatchNormOp, GradientsPassReluWhereItIsOpen) {
  Operands o = operands({{2, 4, 6}, {2, 4, 6}}, 6);
  float* shift = o.inputs[1].value().f32();
  for (int64_t i = 0; i < 48; ++i) shift[i] = i % 3 == 0 ? -9.0f : 9.0f + shift[i];
  check_gradients(o, [](const Context& context, const Operands& at) {
    return training_norm(context, at, {.relu = true, .residual = &at.inputs[1]});
  });
}

// The shortcut of a residual block is the block's own input: both gradients meet in one slot.
TEST(BatchNormOp, AResidualMayBeTheInput) {
  Operands o = operands({{2, 5, 4}}, 4);
  check_gradients(o, [](const Context& context, const Operands& at) {
    return training_norm(context, at, {.residual = &at.inputs[0]});
  });
}

TEST(BatchNormOp, TellsItsStatisticsAndInferenceUsesThem) {
  const Operands o = operands({{2, 2, 1}, {3, 1, 1}}, 1);
  Parameter &mean = *o.parameters[2], &variance = *o.parameters[3];
  mean.set_value(Tensor::zeros({1}));
  variance.set_value(Tensor::full({1}, 1));
  for (const auto& [input, value] : {std::pair<int, float>{0, 1}, {1, 6}}) {
    int i = 0;
    for (float& x : o.inputs[static_cast<size_t>(input)].value().values())
      x = value * static_cast<float>(i++);  // 0, 1, 2, 3: mean 1.5; 0, 6, 12: mean 6
  }
  Queue queue(2);
  Context context(queue);
  context.batch_statistics = true;
  RunningStatistics running;
  context.running = &running;
  for (const Variable& input : o.inputs) batch_norm(context, input, weights_of(o));
  EXPECT_EQ(mean.value().f32()[0], 0) << "nothing moves before the step is done";
  running.update(0.1);
  EXPECT_NEAR(mean.value().f32()[0], 0.1 * (1.5 + 6) / 2, 1e-6);
  // Unbiased: 5/3 and 36.
  EXPECT_NEAR(variance.value().f32()[0], 0.9 + 0.1 * (5.0 / 3 + 36) / 2, 1e-6);
  const float before = mean.value().f32()[0];
  batch_norm(context, o.inputs[0], weights_of(o));
  running.clear();
  batch_norm(context, o.inputs[1], weights_of(o));
  running.update(0.5);
  EXPECT_NEAR(mean.value().f32()[0], (before + 6) / 2, 1e-6) << "what was cleared does not count";
  const float kept = mean.value().f32()[0];
  running.update(0.5);
  EXPECT_EQ(mean.value().f32()[0], kept) << "a step in which the layer did not run";

  const Context inference(queue);
  const Tensor y = batch_norm(inference, o.inputs[0], weights_of(o)).value();
  const double gamma = o.parameters[0]->value().f32()[0], beta = o.parameters[1]->value().f32()[0];
  for (int i = 0; i < 4; ++i)
    EXPECT_NEAR(
        y.f32()[i],
        (i - mean.value().f32()[0]) / std::sqrt(variance.value().f32()[0] + 1e-3) * gamma + beta,
        1e-5);
}

TEST(BatchNormOp, RefusesWhatDoesNotFit) {
  Operands o({{2, 5, 6}, {2, 5, 5}, {0, 5, 6}}, {{6}, {6}, {6}, {6}, {5}});
  Parameter &six = *o.parameters[0], &five = *o.parameters[4];
  Queue queue(1);
  Context context(queue);
  context.batch_statistics = true;
  EXPECT_THROW(batch_norm(context, o.inputs[0], {five, six, six, six}), Error);
  EXPECT_THROW(batch_norm(context, o.inputs[0], {six, five, six, six}), Error);
  EXPECT_THROW(batch_norm(context, o.inputs[0], {six, six, five, six}), Error);
  EXPECT_THROW(batch_norm(context, o.inputs[0], {six, six, six, five}), Error);
  EXPECT_THROW(batch_norm(context, o.inputs[0], {six, six, six, six}, {.residual = &o.inputs[1]}),
               Error);
  EXPECT_THROW(batch_norm(context, o.inputs[2], {six, six, six, six}), Error);
}

}  // namespace
}  // namespace vitrail
