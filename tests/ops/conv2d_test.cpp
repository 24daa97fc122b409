#include "ops/conv2d.h"

#include <gtest/gtest.h>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

constexpr WindowOptions kPatches{
    .kernel_height = 2, .kernel_width = 3, .stride_height = 2, .stride_width = 3};
constexpr WindowOptions kStem{.kernel_height = 3,
                              .kernel_width = 3,
                              .stride_height = 2,
                              .stride_width = 2,
                              .padding_height = 1,
                              .padding_width = 1};

// The definition, picture by picture.
std::vector<double> convolution(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                const WindowOptions& w, int64_t out_height, int64_t out_width) {
  std::vector<double> y;
  for (int64_t b = 0; b < x.size(0); ++b)
    for (int64_t o = 0; o < weight.size(0); ++o)
      for (int64_t i = 0; i < out_height; ++i)
        for (int64_t j = 0; j < out_width; ++j) {
          double sum = bias.f32()[o];
          for (int64_t c = 0; c < x.size(1); ++c)
            for (int64_t kh = 0; kh < w.kernel_height; ++kh)
              for (int64_t kw = 0; kw < w.kernel_width; ++kw) {
                const int64_t h = i * w.stride_height - w.padding_height + kh;
                const int64_t v = j * w.stride_width - w.padding_width + kw;
                if (h < 0 || h >= x.size(2) || v < 0 || v >= x.size(3)) continue;
                sum +=
                    double(x.f32()[((b * x.size(1) + c) * x.size(2) + h) * x.size(3) + v]) *
                    weight
                        .f32()[((o * x.size(1) + c) * w.kernel_height + kh) * w.kernel_width + kw];
              }
          y.push_back(sum);
        }
  return y;
}

TEST(Conv2dOp, IsTheConvolution) {
  Queue queue(2);
  const Context context(queue);
  for (const WindowOptions& window : {kPatches, kStem}) {
    Operands o({{2, 3, 8, 9}}, {{5, 3, window.kernel_height, window.kernel_width}, {5}});
    const Tensor y =
        conv2d(context, o.inputs[0], *o.parameters[0], o.parameters[1].get(), window).value();
    const auto want = convolution(o.inputs[0].value(), o.parameters[0]->value(),
                                  o.parameters[1]->value(), window, y.size(2), y.size(3));
    EXPECT_LT(testing::max_relative_error(y.values(), want), testing::sum_tolerance(27));
  }
}

TEST(Conv2dOp, GradientsMatchDifferences) {
  for (const WindowOptions& window : {kPatches, kStem}) {
    Operands o({{2, 2, 5, 6}}, {{3, 2, window.kernel_height, window.kernel_width}, {3}});
    check_gradients(o, [&](const Context& context, const Operands& at) {
      return conv2d(context, at.inputs[0], *at.parameters[0], at.parameters[1].get(), window);
    });
    Operands no_bias({{1, 2, 5, 6}}, {{3, 2, window.kernel_height, window.kernel_width}});
    check_gradients(no_bias, [&](const Context& context, const Operands& at) {
      return conv2d(context, at.inputs[0], *at.parameters[0], nullptr, window);
    });
  }
}

TEST(UnfoldOp, GradientsMatchDifferencesInBothOrders) {
  for (const bool channels_last : {false, true})
    for (const WindowOptions& window : {kPatches, kStem}) {
      Operands o({{2, 2, 6, 6}});
      check_gradients(o, [&](const Context& context, const Operands& at) {
        return unfold(context, at.inputs[0], window, channels_last);
      });
    }
}

// Values a step apart decide a maximum the same way on both sides of a difference.
TEST(PoolOps, GradientsMatchDifferences) {
  Operands o({{2, 2, 6, 5}}), spread({{2, 2, 6, 5}});
  const Tensor values = spread.inputs[0].value();
  for (int64_t i = 0; i < values.numel(); ++i)
    values.f32()[i] = static_cast<float>(i * 37 % 127) / 16.0f - 4.0f;
  check_gradients(o, [](const Context& context, const Operands& at) {
    return average_pool2d(context, at.inputs[0], kStem);
  });
  check_gradients(spread, [](const Context& context, const Operands& at) {
    return max_pool2d(context, at.inputs[0], kStem);
  });
}

TEST(WindowOps, RefuseShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = Tensor::zeros({1, 3, 4, 4});
  Operands o({}, {{5, 2, 3, 3}, {4}, {5, 3, 3, 3}});
  EXPECT_THROW(conv2d(context, x, *o.parameters[0], nullptr, kStem), Error);
  EXPECT_THROW(conv2d(context, x, *o.parameters[2], o.parameters[1].get(), kStem), Error);
  EXPECT_THROW(conv2d(context, x, *o.parameters[2], nullptr, kPatches), Error);
  EXPECT_THROW(unfold(context, Tensor::zeros({3, 4, 4}), kStem), Error);
  EXPECT_THROW(unfold(context, x, {.kernel_height = 5, .kernel_width = 5}), Error);
  EXPECT_THROW(unfold(context, x, {.kernel_height = 0}), Error);
  EXPECT_THROW(max_pool2d(context, x, {.kernel_height = 2, .kernel_width = 2, .padding_height = 2}),
               Error);
}

}  // namespace
}  // namespace vitrail
