#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "kernels/copy.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::kEpsilon;
using testing::random_floats;

constexpr int64_t kElementCounts[] = {1, 2, 7, 8, 15, 17, 63, 65, 193, 20001};

TEST(Elementwise, ArithmeticIsThatOfFloatsOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t count : kElementCounts) {
      const auto a = random_floats(count, 1), b = random_floats(count, 2);
      std::vector<float> sum(a.size()), product(a.size()), scaled(a.size()), axpy(a.size());
      std::vector<float> filled(a.size());
      add(queue, {.count = count, .a = a.data(), .b = b.data(), .out = sum.data()});
      multiply(queue, {.count = count, .a = a.data(), .b = b.data(), .out = product.data()});
      scale(queue, count, 0.3f, a.data(), scaled.data());
      add_scaled(queue,
                 {.count = count, .a = a.data(), .scale = 0.3f, .b = b.data(), .out = axpy.data()});
      fill(queue, count, 2.5f, filled.data());
      for (int64_t i = 0; i < count; ++i) {
        ASSERT_EQ(sum[i], a[i] + b[i]);
        ASSERT_EQ(product[i], a[i] * b[i]);
        ASSERT_EQ(scaled[i], 0.3f * a[i]);
        ASSERT_NEAR(axpy[i], a[i] + double(0.3f) * b[i], 2 * kEpsilon);  // fused or not
        ASSERT_EQ(filled[i], 2.5f);
      }
    }
  });
}

double by_definition(Arithmetic operation, double a, double b) {
  switch (operation) {
    case Arithmetic::add:
      return a + b;
    case Arithmetic::subtract:
      return a - b;
    case Arithmetic::multiply:
      return a * b;
    case Arithmetic::divide:
      return a / b;
  }
  return 0;
}

int64_t offset_in(const View& view, std::array<int64_t, 4> at) {
  int64_t offset = 0;
  for (size_t i = 0; i < 4; ++i) offset += at[i] * view.strides[i];
  return offset;
}

// Operands repeated along any axes, and read through other strides than their own.
TEST(Elementwise, ArithmeticBroadcastsAsNumPyOnEveryTarget) {
  struct Pair {
    Shape a, b, out;
  };
  const Pair kPairs[] = {
      {{2, 3, 4, 33}, {2, 3, 4, 33}, {2, 3, 4, 33}}, {{2, 3, 4, 33}, {33}, {2, 3, 4, 33}},
      {{2, 3, 4, 33}, {4, 1}, {2, 3, 4, 33}},        {{1, 3, 1, 17}, {2, 1, 4, 17}, {2, 3, 4, 17}},
      {{2, 3, 4, 1}, {1, 1, 1, 65}, {2, 3, 4, 65}},  {{1}, {2, 3, 4, 5}, {2, 3, 4, 5}},
      {{1, 1, 1, 20001}, {1}, {1, 1, 1, 20001}},     {{2, 0, 4, 5}, {5}, {2, 0, 4, 5}}};
  for_each_isa([&](Queue& queue) {
    for (const Pair& pair : kPairs)
      for (const Arithmetic operation :
           {Arithmetic::add, Arithmetic::subtract, Arithmetic::multiply, Arithmetic::divide}) {
        const Tensor a = testing::random_tensor(pair.a, 3), b = testing::random_tensor(pair.b, 4);
        const Tensor out = Tensor::empty(pair.out);
        const View from_a = broadcast_to(a.view(), pair.out);
        const View from_b = broadcast_to(b.view(), pair.out);
        arithmetic(queue, {operation, from_a, from_b, out.view()});
        const Shape& s = pair.out;
        for (int64_t i = 0; i < s[0]; ++i)
          for (int64_t j = 0; j < s[1]; ++j)
            for (int64_t k = 0; k < s[2]; ++k)
              for (int64_t l = 0; l < s[3]; ++l) {
                const std::array at{i, j, k, l};
                const auto want = static_cast<float>(by_definition(
                    operation, a.f32()[offset_in(from_a, at)], b.f32()[offset_in(from_b, at)]));
                ASSERT_EQ(out.f32()[offset_in(out.view(), at)], want)
                    << pair.a.str() << " and " << pair.b.str();
              }
      }
  });
}

TEST(Elementwise, ArithmeticReadsTransposedOperandsAndWritesInPlace) {
  for_each_isa([](Queue& queue) {
    const Tensor a = testing::random_tensor({37, 19}, 5), b = testing::random_tensor({19, 37}, 6);
    View turned = b.view();
    std::swap(turned.shape[0], turned.shape[1]);
    std::swap(turned.strides[0], turned.strides[1]);
    const Tensor out = a.clone();
    arithmetic(queue, {Arithmetic::multiply, out.view(), turned, out.view()});
    for (int64_t i = 0; i < 37; ++i)
      for (int64_t j = 0; j < 19; ++j)
        ASSERT_EQ(out.f32()[i * 19 + j], a.f32()[i * 19 + j] * b.f32()[j * 37 + i]);
  });
}

TEST(Elementwise, FunctionsMatchTheirDefinitionsOnEveryTarget) {
  struct Definition {
    Function function;
    double (*value)(double);
    double (*slope)(double);
  };
  const Definition kDefinitions[] = {
      {Function::exp, [](double x) { return std::exp(x); }, [](double x) { return std::exp(x); }},
      {Function::log, [](double x) { return std::log(x); }, [](double x) { return 1 / x; }},
      {Function::sqrt, [](double x) { return std::sqrt(x); },
       [](double x) { return 0.5 / std::sqrt(x); }},
      {Function::rsqrt, [](double x) { return 1 / std::sqrt(x); },
       [](double x) { return -0.5 / (x * std::sqrt(x)); }}};
  for_each_isa([&](Queue& queue) {
    for (const auto& [function, value, slope] : kDefinitions)
      for (const int64_t count : kElementCounts) {
        const auto exponents = random_floats(count, 7, -20, 20), dy = random_floats(count, 8);
        std::vector<float> x = exponents;
        if (function != Function::exp)
          for (float& element : x) element = std::exp(element);
        std::vector<float> y(x.size() + 1, 77), dx = y;
        apply(queue, {function, count, x.data(), y.data()});
        apply_backward(queue, {.function = function,
                               .count = count,
                               .saved = function == Function::log ? x.data() : y.data(),
                               .dy = dy.data(),
                               .dx = dx.data()});
        for (int64_t i = 0; i < count; ++i) {
          const double want = value(x[i]), gradient = slope(x[i]) * dy[i];
          ASSERT_NEAR(y[i], want, 2 * kEpsilon * std::abs(want)) << x[i];
          ASSERT_NEAR(dx[i], gradient, 8 * kEpsilon * std::abs(gradient)) << x[i];
        }
        EXPECT_EQ(y.back(), 77);
        EXPECT_EQ(dx.back(), 77);
      }
  });
}

TEST(Elementwise, LogarithmsOfWhatIsNoPositiveNumber) {
  for_each_isa([](Queue& queue) {
    const std::vector<float> x{0.0f, -0.0f,    -1.0f,     INFINITY,    -INFINITY, std::nanf(""),
                               1.0f, 0.99999f, 1.000001f, 0x1p-140f,   0x1p-149f, 0x1p-126f,
                               2.0f, 0x1p127f, 3.4e38f,   0.70710678f, 1.4142136f};
    std::vector<float> y(x.size());
    apply(queue, {Function::log, static_cast<int64_t>(x.size()), x.data(), y.data()});
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = std::log(double(x[i]));
      if (std::isnan(want))
        EXPECT_TRUE(std::isnan(y[i])) << x[i];
      else if (std::isinf(want))
        EXPECT_EQ(double(y[i]), want) << x[i];
      else
        EXPECT_NEAR(y[i], want, 2 * kEpsilon * std::abs(want)) << x[i];
    }
  });
}

TEST(Elementwise, DoesNotDependOnThreads) {
  const auto a = random_floats(100001, 5), b = random_floats(100001, 6);
  expect_same_on_any_threads([&](Queue& queue) {
    std::vector<float> out(a.size());
    add_scaled(queue,
               {.count = 100001, .a = a.data(), .scale = 0.7f, .b = b.data(), .out = out.data()});
    return out;
  });
  const Tensor x = testing::random_tensor({7, 31, 129}, 9), y = testing::random_tensor({31, 1}, 10);
  expect_same_on_any_threads([&](Queue& queue) {
    const Tensor out = Tensor::empty(x.shape());
    arithmetic(queue,
               {Arithmetic::divide, x.view(), broadcast_to(y.view(), x.shape()), out.view()});
    return std::vector<float>(out.values().begin(), out.values().end());
  });
}

}  // namespace
}  // namespace vitrail::kernels
