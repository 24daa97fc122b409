#include "ops/convolution.h"

#include <gtest/gtest.h>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

WindowOptions window(int64_t kernel, int64_t stride) {
  return square_window(kernel, stride, kernel / 2);
}

// The definition, picture by picture.
std::vector<double> by_definition(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                  const WindowOptions& w, const Shape& shape) {
  std::vector<double> y;
  for (int64_t b = 0; b < shape[0]; ++b)
    for (int64_t i = 0; i < shape[1]; ++i)
      for (int64_t j = 0; j < shape[2]; ++j)
        for (int64_t o = 0; o < shape[3]; ++o) {
          double sum = bias.f32()[o];
          for (int64_t kh = 0; kh < w.kernel_height; ++kh)
            for (int64_t kw = 0; kw < w.kernel_width; ++kw)
              for (int64_t c = 0; c < x.size(3); ++c) {
                const int64_t h = i * w.stride_height - w.padding_height + kh;
                const int64_t v = j * w.stride_width - w.padding_width + kw;
                if (h < 0 || h >= x.size(1) || v < 0 || v >= x.size(2)) continue;
                sum +=
                    double(x.f32()[((b * x.size(1) + h) * x.size(2) + v) * x.size(3) + c]) *
                    weight
                        .f32()[((o * x.size(3) + c) * w.kernel_height + kh) * w.kernel_width + kw];
              }
          y.push_back(sum);
        }
  return y;
}

TEST(ConvolutionOp, IsTheConvolution) {
  Queue queue(2);
  const Context context(queue);
  for (const WindowOptions& w : {window(3, 1), window(3, 2), window(1, 2), window(5, 1)}) {
    Operands o({{2, 8, 9, 3}}, {{5, 3, w.kernel_height, w.kernel_width}, {5}});
    const Tensor y =
        convolution(context, o.inputs[0], *o.parameters[0], o.parameters[1].get(), w).value();
    const auto want = by_definition(o.inputs[0].value(), o.parameters[0]->value(),
                                    o.parameters[1]->value(), w, y.shape());
    EXPECT_LT(testing::max_relative_error(y.values(), want), testing::sum_tolerance(75));
  }
}

TEST(ConvolutionOp, GradientsMatchDifferences) {
  for (const WindowOptions& w : {window(3, 1), window(3, 2), window(1, 1), window(1, 2)}) {
    Operands o({{2, 5, 4, 2}}, {{3, 2, w.kernel_height, w.kernel_width}, {3}});
    check_gradients(o, [&](const Context& context, const Operands& at) {
      return convolution(context, at.inputs[0], *at.parameters[0], at.parameters[1].get(), w);
    });
    Operands no_bias({{1, 5, 6, 2}}, {{3, 2, w.kernel_height, w.kernel_width}});
    check_gradients(no_bias, [&](const Context& context, const Operands& at) {
      return convolution(context, at.inputs[0], *at.parameters[0], nullptr, w);
    });
  }
}

// What follows rides on the product, or is recorded behind it.
TEST(ConvolutionOp, EpiloguesAreLinears) {
  Queue queue(2);
  const Context inference(queue);
  Context training(queue);
  Tape tape;
  training.tape = &tape;
  for (const int64_t width : {5, 80}) {
    Operands o({{2, 40, 37, 3}, {2, 20, 19, width}}, {{width, 3, 3, 3}, {width}, {width}});
    const LinearEpilogue epilogue{.activation = kernels::Activation::relu,
                                  .layer_scale = o.parameters[2].get(),
                                  .residual = &o.inputs[1]};
    const auto answer = [&](const Context& context, const LinearEpilogue& follows) {
      return convolution(context, o.inputs[0], *o.parameters[0], o.parameters[1].get(),
                         window(3, 2), follows);
    };
    const Tensor plain = answer(inference, {}).value();
    std::vector<double> want;
    for (int64_t i = 0; i < plain.numel(); ++i)
      want.push_back(std::max(0.0, double(plain.f32()[i])) *
                         o.parameters[2]->value().f32()[i % width] +
                     o.inputs[1].value().f32()[i]);
    EXPECT_LT(testing::max_relative_error(answer(inference, epilogue).value().values(), want),
              1e-6);
    const Variable recorded = answer(training, epilogue);
    EXPECT_TRUE(recorded.needs_gradient());
    EXPECT_LT(testing::max_relative_error(recorded.value().values(), want), 1e-6);
  }
  Operands o({{1, 4, 4, 3}, {1, 4, 3, 2}}, {{2, 3, 3, 3}});
  EXPECT_THROW(convolution(inference, o.inputs[0], *o.parameters[0], nullptr, window(3, 1),
                           {.residual = &o.inputs[1]}),
               Error);
}

TEST(ConvolutionOp, AFrozenWeightStillPassesGradients) {
  Operands o({{1, 4, 4, 2}}, {{3, 2, 3, 3}, {3}});
  o.parameters[0]->set_trainable(false);
  Queue queue(1);
  Context context(queue);
  Tape tape;
  context.tape = &tape;
  const Variable y =
      convolution(context, o.inputs[0], *o.parameters[0], o.parameters[1].get(), window(3, 1));
  tape.backward(queue, y);
  EXPECT_TRUE(o.inputs[0].gradient().defined());
  EXPECT_FALSE(o.parameters[0]->gradient().defined());
  for (const float value : o.parameters[1]->gradient().values()) EXPECT_EQ(value, 16);
}

TEST(ConvolutionOp, RefusesShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = Tensor::zeros({1, 4, 4, 3});
  Operands o({}, {{5, 2, 3, 3}, {4}, {5, 3, 3, 3}});
  EXPECT_THROW(convolution(context, x, *o.parameters[0], nullptr, window(3, 1)), Error);
  EXPECT_THROW(convolution(context, x, *o.parameters[2], o.parameters[1].get(), window(3, 1)),
               Error);
  EXPECT_THROW(convolution(context, x, *o.parameters[2], nullptr, window(1, 1)), Error);
  EXPECT_THROW(
      convolution(context, Tensor::zeros({4, 4, 3}), *o.parameters[2], nullptr, window(3, 1)),
      Error);
}

}  // namespace
}  // namespace vitrail
