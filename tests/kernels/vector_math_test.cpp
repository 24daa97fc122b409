// The accuracy that vector_math-inl.h promises, seen through the kernels that expose it.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/activation.h"
#include "kernels/softmax.h"
#include "support/isa.h"

namespace vitrail::kernels {
namespace {

using testing::for_each_isa;

// exp alone: the softmax of (x, 0) is not, but SiLU(x) = x / (1 + exp(-x)) and for x << 0 it is
// x exp(x), so the error in ulp is that of exp but for two roundings.
TEST(VectorMath, ExpIsAccurateOverItsRange) {
  for_each_isa([](Queue& queue) {
    std::vector<float> x, y;
    for (double at = -86; at < -20; at += 0.00137) x.push_back(static_cast<float>(at));
    y.resize(x.size());
    activation(queue, {.activation = Activation::silu,
                       .count = static_cast<int64_t>(x.size()),
                       .x = x.data(),
                       .y = y.data()});
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = double(x[i]) / (1 + std::exp(-double(x[i])));
      worst = std::max(worst, std::abs(y[i] / exact - 1));
    }
    EXPECT_LT(worst, 3.5 * 0x1p-24 * 2);
  });
}

// Differences from the largest score: down to the smallest normal number, then zero.
TEST(VectorMath, ExpFlushesBelowTheSmallestNormal) {
  for_each_isa([](Queue& queue) {
    for (const float low : {-87.0f, -87.3f, -87.34f, -88.0f, -1e4f, -1e38f, -INFINITY}) {
      std::vector<float> x{0, low}, y(2);
      softmax(queue, {.rows = 1, .classes = 2, .x = x.data(), .y = y.data()});
      EXPECT_EQ(y[0], 1.0f);
      if (low > -87.336f)
        EXPECT_NEAR(y[1] / std::exp(double(low)), 1, 4 * 0x1p-24);
      else
        EXPECT_EQ(y[1], 0.0f) << low;
    }
    const float nan = std::nanf("");
    std::vector<float> x{nan, nan, nan, nan, nan, nan, nan, nan}, y(8);
    softmax(queue, {.rows = 1, .classes = 8, .x = x.data(), .y = y.data()});
    for (const float value : y) EXPECT_TRUE(std::isnan(value));
  });
}

// erf through GELU: 2 GELU(x) / x - 1 = erf(x / sqrt 2).
TEST(VectorMath, ErfIsAccurateAndSaturates) {
  for_each_isa([](Queue& queue) {
    std::vector<float> x, y;
    for (double at = -6; at < 6; at += 0.00037) x.push_back(static_cast<float>(at));
    y.resize(x.size());
    activation(queue, {.count = static_cast<int64_t>(x.size()), .x = x.data(), .y = y.data()});
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::abs(x[i]) < 1e-3f) continue;
      const double erf = 2 * double(y[i]) / x[i] - 1;
      worst = std::max(worst, std::abs(erf - std::erf(double(x[i]) / std::sqrt(2.0))));
    }
    // The argument x / sqrt 2 and the result, doubled, are rounded too.
    EXPECT_LT(worst, 2e-7 + 4 * 0x1p-24);
  });
}

}  // namespace
}  // namespace vitrail::kernels
