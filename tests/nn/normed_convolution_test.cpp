#include "nn/conv_norm.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "ops/activation.h"
#include "support/compare.h"
#include "support/random.h"

namespace vitrail {
namespace {

using testing::max_relative_error;
using testing::random_tensor;

// A layer whose parameters are all drawn at random, the running variance above zero.
struct DrawnLayer {
  explicit DrawnLayer(const ConvNormConfig& config)
      : layer(std::make_unique<ConvNorm>(Scope(registry).child("layer"), config)) {
    uint64_t seed = 7;
    for (const auto& parameter : registry.all()) {
      Tensor value = random_tensor(parameter->shape(), ++seed);
      if (parameter->path().ends_with("running_var"))
        for (float& element : value.values()) element = 0.5f + element * element;
      parameter->set_value(std::move(value));
    }
  }
  ParameterRegistry registry;
  std::unique_ptr<ConvNorm> layer;
};

const std::vector<ConvNormConfig> kLayers{
    {.inputs = 5, .outputs = 7},
    {.inputs = 5, .outputs = 7, .bias = true},
    {.inputs = 5, .outputs = 7, .matrix = true, .bias = true},
    {.inputs = 3, .outputs = 4, .kernel = 3, .stride = 2},
    {.inputs = 3, .outputs = 4, .kernel = 3, .bias = true, .epsilon = 0.1},
    {.inputs = 6, .outputs = 6, .kernel = 3, .depthwise = true},
    {.inputs = 6, .outputs = 6, .kernel = 5, .stride = 2, .depthwise = true, .bias = true},
    {.inputs = 4, .outputs = 6, .stride = 2}};

TEST(ConvNorm, FoldsToWhatTheRecordedOperationsCompute) {
  Queue queue(2);
  for (const ConvNormConfig& config : kLayers) {
    DrawnLayer drawn(config);
    const Variable x = random_tensor({2, 7, 6, config.inputs}, 3);
    const Shape shape{2, drawn.layer->cells(7), drawn.layer->cells(6), config.outputs};
    const Variable residual = random_tensor(shape, 4);
    for (const LinearEpilogue& epilogue :
         {LinearEpilogue{}, LinearEpilogue{.activation = kernels::Activation::silu},
          LinearEpilogue{.activation = kernels::Activation::hard_swish, .residual = &residual}}) {
      const Context inference(queue);
      Context training(queue);
      Tape tape;
      training.tape = &tape;
      const Tensor ours = drawn.layer->forward(inference, x, epilogue).value();
      const Variable recorded = drawn.layer->forward(training, x, epilogue);
      ASSERT_TRUE(recorded.needs_gradient());
      ASSERT_EQ(ours.shape(), shape);
      EXPECT_LT(max_relative_error(ours.values(), recorded.value().values()), 2e-6)
          << config.kernel << " " << config.depthwise;
    }
  }
}

TEST(ConvNorm, FollowsEveryParameterThatIsWritten) {
  Queue queue(1);
  const Context context(queue);
  DrawnLayer drawn({.inputs = 3, .outputs = 4, .kernel = 3, .bias = true});
  const Variable x = random_tensor({1, 4, 4, 3}, 3);
  Tensor before = drawn.layer->forward(context, x).value();
  ASSERT_EQ(drawn.registry.all().size(), 6u);
  for (const auto& parameter : drawn.registry.all()) {
    parameter->value().f32()[0] += 0.25f;
    parameter->changed();
    const Tensor after = drawn.layer->forward(context, x).value();
    EXPECT_GT(max_relative_error(after.values(), before.values()), 1e-4) << parameter->path();
    before = after;
  }
}

TEST(ConvNorm, DoesNotFoldStatisticsOfTheBatch) {
  Queue queue(1);
  Context context(queue);
  context.batch_statistics = true;
  DrawnLayer drawn({.inputs = 3, .outputs = 2});
  for (const auto& parameter : drawn.registry.all()) {
    if (parameter->path() != "layer.bn.weight" && parameter->path() != "layer.bn.bias") continue;
    const float value = parameter->path().ends_with("weight") ? 1 : 0;
    for (float& element : parameter->value().values()) element = value;
    parameter->changed();
  }
  const Tensor y = drawn.layer->forward(context, random_tensor({2, 4, 4, 3}, 3)).value();
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < y.numel(); i += 2) {
    sum += y.f32()[i];
    squares += double(y.f32()[i]) * y.f32()[i];
  }
  EXPECT_NEAR(sum / 32, 0, 1e-5);
  EXPECT_NEAR(squares / 32, 1, 1e-3);
}

TEST(ConvNorm, CountsWhatItMultiplies) {
  DrawnLayer dense({.inputs = 3, .outputs = 4, .kernel = 3, .stride = 2});
  EXPECT_EQ(dense.layer->multiply_adds(7, 6), 4 * 3 * 9 * 3 * 4);
  DrawnLayer depthwise({.inputs = 6, .outputs = 6, .kernel = 3, .depthwise = true});
  EXPECT_EQ(depthwise.layer->multiply_adds(7, 6), 7 * 6 * 9 * 6);
}

TEST(ConvNorm, RefusesADepthwiseConvolutionThatChangesTheChannels) {
  ParameterRegistry registry;
  EXPECT_THROW(ConvNorm(Scope(registry), {.inputs = 3, .outputs = 4, .depthwise = true}), Error);
}

}  // namespace
}  // namespace vitrail
