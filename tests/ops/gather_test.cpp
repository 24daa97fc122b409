#include "ops/gather.h"

#include <gtest/gtest.h>

#include "support/errors.h"
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

TEST(GatherTokens, ScatterAddIsTheAdjoint) {
  testing::Operands o({{2, 4, 3}, {2, 5, 3}});
  const Tensor index = index_of({2, 5}, {3, 0, 3, 3, 1, 2, 2, 0, 1, 3});
  testing::check_gradients(o, [&](const Context& context, const testing::Operands& at) {
    return scatter_add_tokens(context, at.inputs[0], index, at.inputs[1]);
  });
}

TEST(IndexOps, SelectAndAddAlongAnyAxis) {
  const Tensor index = index_of({4}, {2, 0, 2, 1});
  for (const int axis : {0, 1, 2, -1}) {
    Shape shape{3, 3, 3};
    shape[axis] = 4;
    testing::Operands select({{3, 3, 3}}), add({{3, 3, 3}, shape});
    testing::check_gradients(select, [&](const Context& context, const testing::Operands& at) {
      return index_select(context, at.inputs[0], axis, index);
    });
    testing::check_gradients(add, [&](const Context& context, const testing::Operands& at) {
      return index_add(context, at.inputs[0], axis, index, at.inputs[1]);
    });
  }
  Queue queue(1);
  const Context context(queue);
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const Variable x = Tensor::from(values, {2, 3});
  const Tensor picked = index_select(context, x, 1, index).value();
  EXPECT_EQ(std::vector<float>(picked.values().begin(), picked.values().end()),
            (std::vector<float>{3, 1, 3, 2, 6, 4, 6, 5}));
  const Tensor sum = index_add(context, x, 1, index, picked).value();
  EXPECT_EQ(std::vector<float>(sum.values().begin(), sum.values().end()),
            (std::vector<float>{2, 4, 9, 8, 10, 18}));
  EXPECT_EQ(index_select(context, x, 0, index_of({0}, {})).shape(), Shape({0, 3}));
  EXPECT_ERROR(index_select(context, x, 2, index), "no axis 2");
  EXPECT_ERROR(index_select(context, x, 0, index), "must be in [0, 2)");
  EXPECT_ERROR(index_select(context, x, 1, index_of({1, 1}, {0})), "must be [K]");
  EXPECT_ERROR(index_add(context, x, 1, index, x), "must be [2, 4]");
  EXPECT_ERROR(index_select(context, x, 1, Tensor::zeros({1})), "must be i64");
}

TEST(EmbeddingOp, LooksRowsUpAndGathersTheirGradients) {
  testing::Operands o({}, {{5, 3}});
  const Tensor index = index_of({2, 3}, {4, 0, 4, 1, 4, 0});
  testing::check_gradients(o, [&](const Context& context, const testing::Operands& at) {
    return embedding(context, *at.parameters[0], index);
  });
  Queue queue(1);
  const Context context(queue);
  const Tensor y = embedding(context, *o.parameters[0], index).value();
  ASSERT_EQ(y.shape(), Shape({2, 3, 3}));
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = 0; j < 3; ++j)
      EXPECT_EQ(y.f32()[i * 3 + j],
                o.parameters[0]->value().f32()[index.data<int64_t>()[i] * 3 + j]);
  EXPECT_ERROR(embedding(context, *o.parameters[0], index_of({1}, {5})), "must be in [0, 5)");
  const Parameter empty("table", {5, 3});
  EXPECT_ERROR(embedding(context, empty, index), "has no value");
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
  EXPECT_ERROR(scatter_add_tokens(context, x, index_of({2, 1}, {0, 1}), x), "must be [2, 1, 3]");
}

}  // namespace
}  // namespace vitrail
