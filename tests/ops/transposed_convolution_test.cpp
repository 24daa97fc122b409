#include <gtest/gtest.h>

#include "ops/convolution.h"
#include "support/errors.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

const TransposedOptions kTransposedCases[] = {
    {.window = square_window(2, 2, 0)},  // SAM's and ViTDet's
    {.window = square_window(3, 1, 1)},
    {.window = square_window(3, 2, 1), .extra_height = 1, .extra_width = 1},
    {.window = square_window(1, 1, 0)},
    {.window = {.kernel_height = 4, .kernel_width = 1, .stride_height = 3, .padding_height = 1},
     .extra_height = 2},
};

// Each input lays a kernel onto the output.
std::vector<double> by_laying(const Tensor& x, const Tensor& weight, const Tensor& bias,
                              const WindowOptions& w, const Shape& shape) {
  const int64_t outputs = shape[3];
  std::vector<double> y(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < y.size(); ++i) y[i] = bias.f32()[static_cast<int64_t>(i) % outputs];
  for (int64_t b = 0; b < x.size(0); ++b)
    for (int64_t i = 0; i < x.size(1); ++i)
      for (int64_t j = 0; j < x.size(2); ++j)
        for (int64_t c = 0; c < x.size(3); ++c)
          for (int64_t o = 0; o < outputs; ++o)
            for (int64_t m = 0; m < w.kernel_height; ++m)
              for (int64_t n = 0; n < w.kernel_width; ++n) {
                const int64_t h = i * w.stride_height - w.padding_height + m;
                const int64_t v = j * w.stride_width - w.padding_width + n;
                if (h < 0 || h >= shape[1] || v < 0 || v >= shape[2]) continue;
                y[static_cast<size_t>(((b * shape[1] + h) * shape[2] + v) * outputs + o)] +=
                    double(x.f32()[((b * x.size(1) + i) * x.size(2) + j) * x.size(3) + c]) *
                    weight.f32()[((c * outputs + o) * w.kernel_height + m) * w.kernel_width + n];
              }
  return y;
}

TEST(TransposedConvolutionOp, LaysKernelsOntoTheOutput) {
  Queue queue(2);
  const Context context(queue);
  for (const TransposedOptions& options : kTransposedCases) {
    const WindowOptions& w = options.window;
    Operands o({{2, 4, 5, 3}}, {{3, 6, w.kernel_height, w.kernel_width}, {6}});
    const Tensor y = transposed_convolution(context, o.inputs[0], *o.parameters[0],
                                            o.parameters[1].get(), options)
                         .value();
    ASSERT_EQ(y.size(1),
              3 * w.stride_height - 2 * w.padding_height + w.kernel_height + options.extra_height);
    EXPECT_LT(testing::max_relative_error(y.values(),
                                          by_laying(o.inputs[0].value(), o.parameters[0]->value(),
                                                    o.parameters[1]->value(), w, y.shape())),
              testing::sum_tolerance(30));
  }
}

TEST(TransposedConvolutionOp, GradientsMatchDifferences) {
  for (const TransposedOptions& options : kTransposedCases) {
    const WindowOptions& w = options.window;
    Operands o({{2, 3, 2, 2}}, {{2, 3, w.kernel_height, w.kernel_width}, {3}});
    check_gradients(o, [&](const Context& context, const Operands& at) {
      return transposed_convolution(context, at.inputs[0], *at.parameters[0],
                                    at.parameters[1].get(), options);
    });
  }
}

TEST(TransposedConvolutionOp, RunsInBf16WhereThePlanSaysSo) {
  Queue queue(2);
  Context context(queue);
  Operands o({{2, 7, 7, 32}}, {{32, 16, 2, 2}});
  const TransposedOptions options{.window = square_window(2, 2, 0)};
  const auto run = [&] {
    return transposed_convolution(context, o.inputs[0], *o.parameters[0], nullptr, options).value();
  };
  const Tensor exact = run();
  const PrecisionPlan plan{.base = Precision::bf16, .layers = {}};
  context.precision = &plan;
  const Tensor rounded = run();
  const double error = testing::max_relative_error(rounded.values(), exact.values());
  EXPECT_GT(error, 0);
  EXPECT_LT(error, 1e-2);
}

TEST(TransposedConvolutionOp, RefusesShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = Tensor::zeros({1, 4, 4, 3});
  Operands o({}, {{3, 5, 2, 2}, {4}, {2, 5, 2, 2}});
  const TransposedOptions two{.window = square_window(2, 2, 0)};
  const auto run = [&](int weight, const Parameter* bias, const TransposedOptions& options) {
    return transposed_convolution(context, x, *o.parameters[static_cast<size_t>(weight)], bias,
                                  options);
  };
  EXPECT_ERROR(run(2, nullptr, two), "does not fit 3 channels");
  EXPECT_ERROR(run(0, o.parameters[1].get(), two), "one value for each of 5 outputs");
  EXPECT_ERROR(run(1, nullptr, two), "does not fit");
  EXPECT_ERROR(run(0, nullptr, {.window = square_window(2, 2, 0), .extra_width = 2}),
               "fewer than the stride");
  EXPECT_ERROR(run(0, nullptr, {.window = square_window(2, 1, 3)}), "nothing is left");
}

}  // namespace
}  // namespace vitrail
