#include "ops/softmax_cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/errors.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

Tensor labels_of(std::initializer_list<int64_t> values) {
  Tensor labels = Tensor::empty({static_cast<int64_t>(values.size())}, DType::i64);
  std::copy(values.begin(), values.end(), labels.data<int64_t>());
  return labels;
}

TEST(SoftmaxCrossEntropyOp, GradientsMatchDifferences) {
  const Tensor labels = labels_of({0, 6, 3});
  const Tensor soft = testing::random_tensor({3, 7}, 1, 0, 0.3);
  Operands hard({{3, 7}}), smooth({{3, 7}}), mixed({{3, 7}}), both({{3, 7}}), plain({{2, 3, 7}});
  check_gradients(hard, [&](const Context& context, const Operands& o) {
    return softmax_cross_entropy(context, o.inputs[0], labels);
  });
  check_gradients(smooth, [&](const Context& context, const Operands& o) {
    return softmax_cross_entropy(context, o.inputs[0], labels, 0.1);
  });
  check_gradients(mixed, [&](const Context& context, const Operands& o) {
    return soft_cross_entropy(context, o.inputs[0], soft);
  });
  check_gradients(both, [&](const Context& context, const Operands& o) {
    return soft_cross_entropy(context, o.inputs[0], soft, 0.1);
  });
  check_gradients(plain, [](const Context& context, const Operands& o) {
    return softmax(context, o.inputs[0]);
  });
}

TEST(SoftmaxOp, RunsAlongAnyAxis) {
  Queue queue(1);
  const Context context(queue);
  for (const int axis : {0, 1, 2, -1}) {
    Operands o({{2, 3, 4}});
    check_gradients(
        o, [axis](const Context& c, const Operands& at) { return softmax(c, at.inputs[0], axis); });
    const Tensor y = softmax(context, o.inputs[0], axis).value();
    const int64_t step = axis == 0 ? 12 : axis == 1 ? 4 : 1, size = y.size(axis);
    for (int64_t i = 0; i < 24; ++i) {
      const int64_t first = i - i / step % size * step;
      double sum = 0;
      for (int64_t j = 0; j < size; ++j)
        sum += std::exp(double(o.inputs[0].value().f32()[first + j * step]));
      EXPECT_NEAR(y.f32()[i], std::exp(double(o.inputs[0].value().f32()[i])) / sum, 1e-6);
    }
  }
  EXPECT_ERROR(softmax(context, Tensor::zeros({2, 3}), 2), "no axis 2");
  EXPECT_ERROR(softmax(context, Tensor::zeros({0, 3}), 0), "is empty");
}

TEST(SoftmaxCrossEntropyOp, UniformLogitsCostTheLogOfTheClasses) {
  Queue queue(1);
  const Context context(queue);
  const Variable loss =
      softmax_cross_entropy(context, Tensor::full({4, 10}, 3), labels_of({1, 2, 3, 9}), 0.1);
  EXPECT_EQ(loss.shape(), Shape({1}));
  EXPECT_NEAR(loss.value().f32()[0], std::log(10.0), 1e-6);
}

TEST(SoftmaxCrossEntropyOp, RefusesTargetsThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable logits = Tensor::zeros({2, 5});
  EXPECT_THROW(softmax_cross_entropy(context, logits, labels_of({0, 5})), Error);
  EXPECT_THROW(softmax_cross_entropy(context, logits, labels_of({-1, 0})), Error);
  EXPECT_THROW(softmax_cross_entropy(context, logits, labels_of({0})), Error);
  EXPECT_THROW(softmax_cross_entropy(context, logits, Tensor::zeros({2})), Error);
  EXPECT_THROW(softmax_cross_entropy(context, logits, labels_of({0, 1}), 1.5), Error);
  EXPECT_THROW(soft_cross_entropy(context, logits, Tensor::zeros({2, 4})), Error);
  EXPECT_THROW(softmax_cross_entropy(context, Tensor::zeros({0, 5}), labels_of({})), Error);
}

}  // namespace
}  // namespace vitrail
