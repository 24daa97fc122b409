#include "ops/softmax_cross_entropy.h"

#include <gtest/gtest.h>

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
