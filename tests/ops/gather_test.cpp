#include "ops/gather.h"

#include <gtest/gtest.h>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

Tensor index_of(const Shape& shape, std::vector<int64_t> values) {
  Tensor index = Tensor::empty(shape, DType::i64);
  std::copy(values.begin(), values.end(), index.data<int64_t>());
  return index;
}

TEST(GatherTokens, GradientsMatchDifferences) {
  testing::Operands o({{2, 4, 3}});
  const Tensor index = index_of({2, 5}, {3, 0, 3, 3, 1, 2, 2, 0, 1, 3});
  testing::check_gradients(o, [&](const Context& context, const testing::Operands& at) {
    return gather_tokens(context, at.inputs[0], index);
  });
}

TEST(GatherTokens, RefusesIndicesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = Tensor::zeros({2, 4, 3});
  EXPECT_THROW(gather_tokens(context, x, index_of({2, 1}, {0, 4})), Error);
  EXPECT_THROW(gather_tokens(context, x, index_of({2, 1}, {-1, 0})), Error);
  EXPECT_THROW(gather_tokens(context, x, index_of({1, 2}, {0, 1})), Error);
  EXPECT_THROW(gather_tokens(context, x, Tensor::zeros({2, 1})), Error);
  EXPECT_THROW(gather_tokens(context, Tensor::zeros({2, 4}), index_of({2, 1}, {0, 1})), Error);
}

}  // namespace
}  // namespace vitrail
