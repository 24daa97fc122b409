#include <gtest/gtest.h>

#include "kernels/reference/depthwise_convolution.h"
#include "ops/convolution.h"
#include "support/errors.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

const DepthwiseOptions kDepthwise[] = {
    {.window = square_window(3, 1, 1)},
    {.window = square_window(3, 2, 1)},
    {.window = square_window(3, 1, 2), .dilation_height = 2, .dilation_width = 2},
    {.window = {.kernel_height = 1, .kernel_width = 4, .stride_width = 3, .padding_width = 2}},
    {.window = square_window(2, 2, 0)},
};

TEST(DepthwiseConvolutionOp, GradientsMatchDifferences) {
  for (const DepthwiseOptions& options : kDepthwise) {
    const int64_t kh = options.window.kernel_height, kw = options.window.kernel_width;
    Operands o({{2, 5, 4, 3}}, {{3, 1, kh, kw}, {3}});
    check_gradients(o, [&](const Context& context, const Operands& at) {
      return depthwise_convolution(context, at.inputs[0], *at.parameters[0], at.parameters[1].get(),
                                   options);
    });
    Operands no_bias({{1, 5, 4, 3}}, {{3, 1, kh, kw}});
    check_gradients(no_bias, [&](const Context& context, const Operands& at) {
      return depthwise_convolution(context, at.inputs[0], *at.parameters[0], nullptr, options);
    });
  }
}

// A weight [C, 1, kh, kw] is that of torch.nn.Conv2d(groups=C).
TEST(DepthwiseConvolutionOp, IsTheConvolutionOfEachChannel) {
  Queue queue(2);
  const Context context(queue);
  Operands o({{2, 6, 7, 3}}, {{3, 1, 3, 3}, {3}});
  const WindowOptions window = square_window(3, 2, 1);
  const Tensor y = depthwise_convolution(context, o.inputs[0], *o.parameters[0],
                                         o.parameters[1].get(), {.window = window})
                       .value();
  ASSERT_EQ(y.shape(), Shape({2, 3, 4, 3}));
  for (int64_t c = 0; c < 3; ++c) {
    Tensor channel = Tensor::empty({2, 6, 7, 1});
    for (int64_t i = 0; i < channel.numel(); ++i)
      channel.f32()[i] = o.inputs[0].value().f32()[i * 3 + c];
    Parameter weight("weight", {1, 1, 3, 3}), bias("bias", {1});
    weight.set_value(o.parameters[0]->value().rows(c, c + 1));
    bias.set_value(o.parameters[1]->value().rows(c, c + 1));
    const Tensor one = convolution(context, channel, weight, &bias, window).value();
    for (int64_t i = 0; i < one.numel(); ++i)
      EXPECT_NEAR(y.f32()[i * 3 + c], one.f32()[i], 10 * testing::kEpsilon);
  }
}

TEST(DepthwiseConvolutionOp, FrozenPartsPassTheOthersGradients) {
  for (const bool frozen_weight : {false, true}) {
    Operands o({{1, 4, 4, 2}}, {{2, 1, 3, 3}, {2}});
    o.parameters[frozen_weight ? 0 : 1]->set_trainable(false);
    check_gradients(o, [](const Context& context, const Operands& at) {
      return depthwise_convolution(context, at.inputs[0], *at.parameters[0], at.parameters[1].get(),
                                   {.window = square_window(3, 1, 1)});
    });
  }
}

TEST(DepthwiseConvolutionOp, RefusesShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = Tensor::zeros({1, 4, 4, 3});
  Operands o({}, {{3, 1, 3, 3}, {4}, {3, 3, 3, 3}});
  const auto run = [&](const Variable& input, int weight, const Parameter* bias,
                       const DepthwiseOptions& options) {
    return depthwise_convolution(context, input, *o.parameters[static_cast<size_t>(weight)], bias,
                                 options);
  };
  const DepthwiseOptions three{.window = square_window(3, 1, 1)};
  EXPECT_ERROR(run(x, 2, nullptr, three), "does not fit 3 channels");
  EXPECT_ERROR(run(x, 0, o.parameters[1].get(), three), "one value for each of 3 channels");
  EXPECT_ERROR(run(Tensor::zeros({4, 4, 3}), 0, nullptr, three), "must be [B, H, W, C]");
  EXPECT_ERROR(run(x, 0, nullptr, {.window = square_window(3, 1, 0), .dilation_height = 2}),
               "spans 5x3");
  EXPECT_ERROR(run(x, 0, nullptr, {.window = square_window(3, 0, 1)}), "must be positive");
  EXPECT_ERROR(run(x, 0, nullptr, {.window = square_window(3, 1, 1), .dilation_width = 0}),
               "must be positive");
  EXPECT_EQ(run(Tensor::zeros({0, 4, 4, 3}), 0, nullptr, three).shape(), Shape({0, 4, 4, 3}));
}

}  // namespace
}  // namespace vitrail
