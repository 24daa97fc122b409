#include "ops/l2_normalize.h"

#include <gtest/gtest.h>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

TEST(L2NormalizeOp, GradientsMatchDifferences) {
  Operands rows({{2, 3, 5}}), weight({{4, 6}, {4, 1}});
  check_gradients(rows, [](const Context& context, const Operands& o) {
    return l2_normalize(context, o.inputs[0]);
  });
  check_gradients(weight, [](const Context& context, const Operands& o) {
    return weight_norm(context, o.inputs[0], o.inputs[1]);
  });
}

TEST(L2NormalizeOp, RefusesShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  EXPECT_THROW(weight_norm(context, Tensor::zeros({4, 6}), Tensor::zeros({4})), Error);
  EXPECT_THROW(weight_norm(context, Tensor::zeros({4}), Tensor::zeros({4, 1})), Error);
}

}  // namespace
}  // namespace vitrail
