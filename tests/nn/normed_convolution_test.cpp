#include "nn/normed_convolution.h"

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
  explicit DrawnLayer(const NormedConvolutionConfig& config)
      : layer(std::make_unique<NormedConvolution>(Scope(registry).child("layer"), config)) {
    uint64_t seed = 7;
    for (const auto& parameter : registry.all()) {
      Tensor value = random_tensor(parameter->shape(), ++seed);
      if (parameter->path().ends_with("running_var"))
        for (float& element : value.values()) element = 0.5f + element * element;
      parameter->set_value(std::move(value));
    }
  }
  ParameterRegistry registry;
  std::unique_ptr<NormedConvolution> layer;
};

const std::vector<NormedConvolutionConfig> kLayers{
    {.inputs = 5, .outputs = 7},
    {.inputs = 5, .outputs = 7, .bias = true},
    {.inputs = 5, .outputs = 7, .matrix = true, .bias = true},
    {.inputs = 3, .outputs = 4, .kernel = 3, .stride = 2},
    {.inputs = 3, .outputs = 4, .kernel = 3, .bias = true, .norm = {.epsilon = 0.1}},
    {.inputs = 6, .outputs = 6, .kernel = 3, .depthwise = true},
    {.inputs = 6, .outputs = 6, .kernel = 5, .stride = 2, .depthwise = true, .bias = true},
    {.inputs = 4, .outputs = 4, .kernel = 3, .stride = 2, .padding = 0, .depthwise = true},
    {.inputs = 4, .outputs = 6, .stride = 2}};

TEST(NormedConvolution, AnswersFoldedAsBefore) {
  Queue queue(2);
  const Context context(queue);
  for (const NormedConvolutionConfig& config : kLayers) {
    const Variable x = random_tensor({2, 7, 6, config.inputs}, 3);
    DrawnLayer drawn(config);
    const Shape shape{2, drawn.layer->cells(7), drawn.layer->cells(6), config.outputs};
    const Variable residual = random_tensor(shape, 4);
    const std::vector<LinearEpilogue> epilogues{
        {},
        {.activation = kernels::Activation::silu},
        {.activation = kernels::Activation::hard_swish, .residual = &residual}};
    std::vector<Tensor> before;
    for (const LinearEpilogue& epilogue : epilogues)
      before.push_back(drawn.layer->forward(context, x, epilogue).value());
    ASSERT_EQ(drawn.registry.folds().size(), 1u);
    fold(*drawn.registry.folds().front());
    for (size_t i = 0; i < epilogues.size(); ++i) {
      const Tensor folded = drawn.layer->forward(context, x, epilogues[i]).value();
      ASSERT_EQ(folded.shape(), shape);
      EXPECT_LT(max_relative_error(folded.values(), before[i].values()), 2e-6)
          << config.kernel << " " << config.depthwise << " " << i;
    }
  }
}

TEST(NormedConvolution, TakesTheStatisticsOfTheBatch) {
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

TEST(NormedConvolution, CountsWhatItMultiplies) {
  DrawnLayer dense({.inputs = 3, .outputs = 4, .kernel = 3, .stride = 2});
  EXPECT_EQ(dense.layer->multiply_adds(7, 6), 4 * 3 * 9 * 3 * 4);
  DrawnLayer depthwise({.inputs = 6, .outputs = 6, .kernel = 3, .depthwise = true});
  EXPECT_EQ(depthwise.layer->multiply_adds(7, 6), 7 * 6 * 9 * 6);
}

TEST(NormedConvolution, RefusesADepthwiseConvolutionThatChangesTheChannels) {
  ParameterRegistry registry;
  EXPECT_THROW(NormedConvolution(Scope(registry), {.inputs = 3, .outputs = 4, .depthwise = true}),
               Error);
}

}  // namespace
}  // namespace vitrail
