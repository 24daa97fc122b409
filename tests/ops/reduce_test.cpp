#include "ops/reduce.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

// What a reduction over `axes` makes of x, element by element in the order of memory.
template <typename Combine>
std::vector<double> reduced(const Tensor& x, const std::vector<int>& axes, double start,
                            const Combine& combine) {
  Shape kept = x.shape();
  for (const int axis : axes) kept[axis] = 1;
  std::vector<double> out(static_cast<size_t>(kept.numel()), start);
  for (int64_t i = 0; i < x.numel(); ++i) {
    int64_t rest = i, to = 0, step = 1;
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      to += rest % x.size(axis) % kept[axis] * step;
      rest /= x.size(axis);
      step *= kept[axis];
    }
    double& value = out[static_cast<size_t>(to)];
    value = combine(value, x.f32()[i]);
  }
  return out;
}

const std::vector<std::vector<int>> kAxes = {{0},    {1},    {3},     {0, 1},       {2, 3},
                                             {0, 2}, {1, 3}, {-1, 0}, {0, 1, 2, 3}, {}};

TEST(ReduceOps, ReduceOverAnyAxes) {
  Queue queue(2);
  const Context context(queue);
  const Tensor x = testing::random_tensor({3, 4, 5, 7}, 1);
  for (const std::vector<int>& axes : kAxes) {
    const auto sum = reduced(x, axes, 0, [](double a, double b) { return a + b; });
    const auto largest = reduced(x, axes, -9, [](double a, double b) { return std::max(a, b); });
    const double share = double(sum.size()) / double(x.numel());
    const Tensor total = sum_over(context, x, axes).value();
    EXPECT_LT(testing::max_relative_error(total.values(), sum), 1e-5);
    auto mean = sum;
    for (double& value : mean) value *= share;
    EXPECT_LT(testing::max_relative_error(mean_over(context, x, axes).value().values(), mean),
              1e-5);
    EXPECT_EQ(testing::max_relative_error(max_over(context, x, axes).value().values(), largest), 0);
    EXPECT_EQ(total.rank(), 4 - static_cast<int>(axes.size()));
    Shape kept = x.shape();
    for (const int axis : axes) kept[axis] = 1;
    EXPECT_EQ(sum_over(context, x, axes, true).shape(), kept);
    EXPECT_EQ(max_over(context, x, axes, true).shape(), kept);
  }
}

// Elements apart by more than a difference's step.
Operands spaced(const Shape& shape) {
  Operands o({shape});
  float* values = o.inputs[0].value().f32();
  for (int64_t i = 0; i < shape.numel(); ++i) values[i] = static_cast<float>(i * 23 % 37) / 10;
  return o;
}

TEST(ReduceOps, GradientsMatchDifferences) {
  for (const std::vector<int>& axes : kAxes)
    for (const bool keep : {false, true})
      for (const auto reduce : {sum_over, mean_over, max_over}) {
        Operands o = spaced({2, 3, 2, 3});
        check_gradients(o, [&](const Context& context, const Operands& at) {
          return reduce(context, at.inputs[0], axes, keep);
        });
      }
}

Tensor gradient_of(const Tensor& x,
                   const std::function<Variable(const Context&, const Variable&)>& operation) {
  Queue queue(1);
  Context context(queue);
  Tape tape;
  context.tape = &tape;
  const Variable leaf = Variable::leaf(x);
  tape.backward(queue, operation(context, leaf));
  return leaf.gradient();
}

TEST(ReduceOps, TheFirstOfEqualMaximaGetsTheGradient) {
  const std::vector<float> ties{1, 3, 3, 0, 3, 2};
  const Tensor x = Tensor::from(ties, {2, 3});
  const Tensor dx = gradient_of(x, [](const Context& context, const Variable& v) {
    return max_over(context, v, {0, 1});
  });
  EXPECT_EQ(std::vector<float>(dx.values().begin(), dx.values().end()),
            (std::vector<float>{0, 1, 0, 0, 0, 0}));
}

TEST(ReduceOps, CumulativeMaximumAndTopK) {
  for (const int axis : {0, 1, -1}) {
    Operands o = spaced({2, 5, 3});
    check_gradients(o, [&](const Context& context, const Operands& at) {
      return cumulative_maximum(context, at.inputs[0], axis);
    });
  }
  for (const int64_t k : {1, 2, 3}) {
    Operands o = spaced({2, 5, 3});
    check_gradients(o, [&](const Context& context, const Operands& at) {
      return top_k(context, at.inputs[0], k).values;
    });
  }
  // The last of equal values, as torch.cummax.
  const std::vector<float> ties{2, 1, 2, 3};
  const Tensor dx = gradient_of(Tensor::from(ties, {4}), [](const Context& c, const Variable& v) {
    return cumulative_maximum(c, v, 0);
  });
  EXPECT_EQ(std::vector<float>(dx.values().begin(), dx.values().end()),
            (std::vector<float>{2, 0, 1, 1}));
}

TEST(ReduceOps, RefuseAxesThatAreNotThere) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = Tensor::zeros({2, 3});
  EXPECT_ERROR(sum_over(context, x, {2}), "no axis 2");
  EXPECT_ERROR(sum_over(context, x, {-3}), "no axis -3");
  EXPECT_ERROR(mean_over(context, x, {1, -1}), "named twice");
  EXPECT_ERROR(mean_over(context, Tensor::zeros({2, 0}), {1}), "nothing to average");
  EXPECT_ERROR(max_over(context, Tensor::zeros({2, 0}), {1}), "elements");
  EXPECT_ERROR(top_k(context, x, 4), "do not exist");
  EXPECT_ERROR(cumulative_maximum(context, x, 5), "no axis 5");
  // A sum of nothing is 0.
  const Tensor none = sum_over(context, Tensor::zeros({2, 0}), {1}).value();
  EXPECT_EQ(none.shape(), Shape({2}));
  EXPECT_EQ(none.f32()[1], 0);
  EXPECT_EQ(max_over(context, Tensor::zeros({0, 2}), {1}).shape(), Shape({0}));
}

}  // namespace
}  // namespace vitrail
