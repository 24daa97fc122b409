#include "ops/matmul.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

TEST(MatmulOp, GradientsMatchDifferences) {
  struct Product {
    Shape a, b;
    MatmulOptions options;
  };
  const Product kProducts[] = {
      {{3, 4}, {4, 5}, {}},
      {{4, 3}, {4, 5}, {.transpose_a = true}},
      {{3, 4}, {5, 4}, {.transpose_b = true}},
      {{4, 3}, {5, 4}, {.transpose_a = true, .transpose_b = true}},
      {{2, 3, 3, 4}, {2, 3, 4, 5}, {}},
      {{2, 3, 3, 4}, {2, 3, 5, 4}, {.transpose_b = true}},  // attention's scores
      {{2, 3, 4, 3}, {2, 3, 4, 5}, {.transpose_a = true}},  // attention over channels
      {{2, 3, 4, 3}, {2, 3, 5, 4}, {.transpose_a = true, .transpose_b = true}},
      {{2, 3, 4}, {4, 5}, {}},  // one b for all: rows of one product
      {{2, 3, 4}, {5, 4}, {.transpose_b = true}},
      {{2, 4, 3}, {4, 5}, {.transpose_a = true}},
      {{3, 4}, {2, 4, 5}, {}},  // one a for all
      {{2, 1, 3, 4}, {3, 4, 5}, {}},
  };
  for (const Product& product : kProducts) {
    SCOPED_TRACE(product.a.str() + " by " + product.b.str());
    Operands o({product.a, product.b});
    check_gradients(o, [&](const Context& context, const Operands& at) {
      return matmul(context, at.inputs[0], at.inputs[1], product.options);
    });
  }
}

TEST(MatmulOp, AVariableTimesItself) {
  Operands o({{3, 4}});
  check_gradients(o, [](const Context& context, const Operands& at) {
    return matmul(context, at.inputs[0], at.inputs[0], {.transpose_b = true});
  });
}

TEST(MatmulOp, OneSideMayBeAConstant) {
  Queue queue(1);
  Context context(queue);
  Tape tape;
  context.tape = &tape;
  const Variable x = Variable::leaf(testing::random_tensor({2, 3}, 1));
  tape.backward(queue, matmul(context, Tensor::full({4, 2}, 1.0f), x));
  for (const float value : x.gradient().values()) EXPECT_EQ(value, 4);
}

TEST(MatmulOp, SumsWithoutTermsAreZero) {
  Queue queue(1);
  const Context context(queue);
  const Tensor y = matmul(context, Tensor::zeros({2, 0}), Tensor::zeros({0, 3})).value();
  ASSERT_EQ(y.shape(), Shape({2, 3}));
  for (const float value : y.values()) EXPECT_EQ(value, 0);
  EXPECT_EQ(matmul(context, Tensor::zeros({0, 2, 3}), Tensor::zeros({0, 3, 4})).shape(),
            Shape({0, 2, 4}));
}

TEST(MatmulOp, RefusesShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable a = Tensor::zeros({2, 3, 4});
  EXPECT_ERROR(matmul(context, a, Tensor::zeros({3, 5})), "4 and 3 terms");
  EXPECT_ERROR(matmul(context, a, Tensor::zeros({4, 5}), {.transpose_b = true}), "transposed");
  EXPECT_ERROR(matmul(context, a, Tensor::zeros({3, 4, 5})), "do not fit together");
  EXPECT_ERROR(matmul(context, Tensor::zeros({4}), a), "two axes");
}

}  // namespace
}  // namespace vitrail
