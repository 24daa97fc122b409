#include "ops/binary_cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

TEST(BinaryCrossEntropyOp, GradientsMatchDifferences) {
  Tensor labels = Tensor::empty({3}, DType::i64);
  for (int64_t i = 0; i < 3; ++i) labels.data<int64_t>()[i] = 3 * i;
  const Tensor soft = testing::random_tensor({3, 7}, 1, 0, 1);
  for (const BinaryLossOptions& options :
       {BinaryLossOptions{}, BinaryLossOptions{.label_smoothing = 0.2, .threshold = {}},
        BinaryLossOptions{.threshold = 0.5, .sum_classes = true}}) {
    Operands hard({{3, 7}}), mixed({{3, 7}});
    check_gradients(hard, [&](const Context& context, const Operands& o) {
      return binary_cross_entropy(context, o.inputs[0], labels, options);
    });
    check_gradients(mixed, [&](const Context& context, const Operands& o) {
      return binary_cross_entropy(context, o.inputs[0], soft, options);
    });
  }
}

TEST(BinaryCrossEntropyOp, SumsOrAveragesTheClasses) {
  Queue queue(1);
  const Context context(queue);
  const Tensor logits = Tensor::zeros({2, 5}), targets = Tensor::full({2, 5}, 0.5f);
  const double mean = binary_cross_entropy(context, logits, targets).value().f32()[0];
  const double sum =
      binary_cross_entropy(context, logits, targets, {.threshold = {}, .sum_classes = true})
          .value()
          .f32()[0];
  EXPECT_NEAR(mean, std::log(2.0), 1e-6);
  EXPECT_NEAR(sum, 5 * std::log(2.0), 1e-5);
}

TEST(BinaryCrossEntropyOp, RefusesTargetsThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable logits = Tensor::zeros({2, 5});
  Tensor labels = Tensor::zeros({2}, DType::i64);
  labels.data<int64_t>()[1] = 5;
  EXPECT_THROW(binary_cross_entropy(context, logits, labels), Error);
  EXPECT_THROW(binary_cross_entropy(context, logits, Tensor::zeros({2, 4})), Error);
  EXPECT_THROW(binary_cross_entropy(context, logits, Tensor::zeros({2, 5}),
                                    {.label_smoothing = 2, .threshold = {}}),
               Error);
}

}  // namespace
}  // namespace vitrail
