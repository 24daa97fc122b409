#include "kernels/activation.h"

#include <gtest/gtest.h>

#include "kernels/reference/activation.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::kEpsilon;
using testing::max_relative_error;
using testing::random_floats;

constexpr Activation kAll[] = {
    Activation::none,    Activation::gelu,     Activation::gelu_tanh,    Activation::quick_gelu,
    Activation::relu,    Activation::silu,     Activation::tanh,         Activation::relu6,
    Activation::sigmoid, Activation::softplus, Activation::hard_sigmoid, Activation::hard_swish};
constexpr int64_t kCounts[] = {1, 2, 7, 8, 15, 17, 63, 65, 193, 20001};

TEST(Activation, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const Activation kind : kAll)
      for (const int64_t count : kCounts) {
        SCOPED_TRACE("activation " + std::to_string(int(kind)) + " of " + std::to_string(count));
        const auto x = random_floats(count, 1, -8, 8), dy = random_floats(count, 2);
        // One more element than asked for: it must stay as it is.
        std::vector<float> y(x.size() + 1, 77.0f), dx(x.size() + 1, 77.0f);
        activation(queue, {.activation = kind, .count = count, .x = x.data(), .y = y.data()});
        activation_backward(
            queue,
            {.activation = kind, .count = count, .x = x.data(), .dy = dy.data(), .dx = dx.data()});
        for (int64_t i = 0; i < count; ++i) {
          // erf is good to 2e-7 absolutely; its error is multiplied by |x| / 2.
          const double scale = std::max(1.0, std::abs(double(x[i])));
          ASSERT_NEAR(y[i], reference::activation(kind, x[i]), 3 * kEpsilon * scale) << x[i];
          ASSERT_NEAR(dx[i], dy[i] * reference::activation_derivative(kind, x[i]),
                      6 * kEpsilon * scale)
              << x[i];
        }
        EXPECT_EQ(y.back(), 77.0f);
        EXPECT_EQ(dx.back(), 77.0f);
      }
  });
}

TEST(Activation, DerivativesAreThoseOfTheFunctions) {
  for (const Activation kind : kAll)
    for (double x = -6.05; x < 6; x += 0.1) {
      const double numeric =
          (reference::activation(kind, x + 1e-6) - reference::activation(kind, x - 1e-6)) / 2e-6;
      EXPECT_NEAR(reference::activation_derivative(kind, x), numeric, 1e-8)
          << int(kind) << " " << x;
    }
}

TEST(Activation, StaysFiniteFarOut) {
  for_each_isa([](Queue& queue) {
    const std::vector<float> x{-1e30f, -1e4f, -200, -100, -89,  -20,  0,
                               20,     89,    100,  200,  1e4f, 1e15f};
    for (const Activation kind : kAll) {
      std::vector<float> y(x.size());
      activation(queue, {.activation = kind,
                         .count = static_cast<int64_t>(x.size()),
                         .x = x.data(),
                         .y = y.data()});
      for (size_t i = 0; i < x.size(); ++i) {
        if (kind == Activation::gelu_tanh && std::abs(x[i]) > 1e10f) continue;  // x^3 overflows
        EXPECT_NEAR(y[i], reference::activation(kind, x[i]), 1e-6 * std::max(1.0f, std::abs(y[i])))
            << int(kind) << " at " << x[i];
      }
    }
  });
}

TEST(Activation, PassesANaNOn) {
  for_each_isa([](Queue& queue) {
    for (const Activation kind : kAll) {
      std::vector<float> x(21, 0.5f);
      for (const int64_t at : {3, 19}) x[at] = std::numeric_limits<float>::quiet_NaN();
      activation(queue, {.activation = kind, .count = 21, .x = x.data(), .y = x.data()});
      for (int64_t i = 0; i < 21; ++i)
        EXPECT_EQ(std::isnan(x[i]), i == 3 || i == 19) << int(kind) << " at " << i;
    }
  });
}

TEST(Activation, WritesInPlace) {
  Queue queue(1);
  auto x = random_floats(100, 3);
  std::vector<float> y(x.size());
  activation(queue, {.count = 100, .x = x.data(), .y = y.data()});
  activation(queue, {.count = 100, .x = x.data(), .y = x.data()});
  EXPECT_EQ(x, y);
}

TEST(Gate, MatchesTheOracleOnPackedHalves) {
  for_each_isa([](Queue& queue) {
    for (const Activation kind : kAll)
      for (const int64_t width : {1, 7, 8, 17, 65}) {
        const int64_t rows = 5, stride = 2 * width;
        const auto packed = random_floats(rows * stride, 4, -3, 3);
        const auto dy = random_floats(rows * width, 5);
        std::vector<float> y(dy.size()), dpacked(packed.size());
        gate(queue, {.activation = kind,
                     .rows = rows,
                     .width = width,
                     .gate = packed.data(),
                     .gate_stride = stride,
                     .value = packed.data() + width,
                     .value_stride = stride,
                     .y = y.data(),
                     .y_stride = width});
        gate_backward(queue, {.activation = kind,
                              .rows = rows,
                              .width = width,
                              .gate = packed.data(),
                              .gate_stride = stride,
                              .value = packed.data() + width,
                              .value_stride = stride,
                              .dy = dy.data(),
                              .dy_stride = width,
                              .dgate = dpacked.data(),
                              .dgate_stride = stride,
                              .dvalue = dpacked.data() + width,
                              .dvalue_stride = stride});
        std::vector<double> want_y(dy.size()), want_gradient(packed.size());
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t j = 0; j < width; ++j) {
            const double g = packed[r * stride + j], v = packed[r * stride + width + j];
            const double gradient = dy[r * width + j];
            want_y[r * width + j] = reference::activation(kind, g) * v;
            want_gradient[r * stride + j] =
                gradient * v * reference::activation_derivative(kind, g);
            want_gradient[r * stride + width + j] = gradient * reference::activation(kind, g);
          }
        EXPECT_LT(max_relative_error(y, want_y), 8 * kEpsilon);
        EXPECT_LT(max_relative_error(dpacked, want_gradient), 8 * kEpsilon);
      }
  });
}

TEST(Activation, DoesNotDependOnThreads) {
  const auto x = random_floats(50001, 6, -5, 5);
  expect_same_on_any_threads([&](Queue& queue) {
    std::vector<float> y(x.size());
    activation(queue, {.count = 50001, .x = x.data(), .y = y.data()});
    return y;
  });
}

}  // namespace
}  // namespace vitrail::kernels
