#include "ops/tokens.h"

#include <gtest/gtest.h>

#include <array>

#include "ops/elementwise.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

TEST(TokenOps, GradientsMatchDifferences) {
  Operands shaped({{2, 3, 4}});
  check_gradients(shaped, [](const Context& context, const Operands& o) {
    return scale(context, reshape(context, o.inputs[0], {6, 4}), 2);
  });
  Operands axes({{2, 3, 4, 5}});
  check_gradients(axes, [](const Context& context, const Operands& o) {
    return permute(context, o.inputs[0], std::array{2, 0, 3, 1});
  });
  Operands pooled({{2, 3, 5}});
  check_gradients(pooled, [](const Context& context, const Operands& o) {
    return mean_tokens(context, o.inputs[0]);
  });
  Operands weighted({{2, 3}, {2, 3, 5}});
  check_gradients(weighted, [](const Context& context, const Operands& o) {
    return weighted_sum(context, o.inputs[0], o.inputs[1]);
  });
  for (const int axis : {0, 1, 2}) {
    Operands sliced({{3, 4, 5}});
    check_gradients(sliced, [axis](const Context& context, const Operands& o) {
      return slice(context, o.inputs[0], axis, 1, 3);
    });
  }
}

TEST(TokenOps, OverlappingSlicesAddTheirGradients) {
  Operands o({{2, 5, 3}});
  check_gradients(o, [](const Context& context, const Operands& at) {
    return add(context, slice(context, at.inputs[0], 1, 0, 3),
               slice(context, at.inputs[0], 1, 2, 5));
  });
}

TEST(TokenOps, ConcatenationJoinsAndItsGradientsPart) {
  for (const int axis : {0, 1, 2}) {
    Shape first{2, 3, 4}, second{2, 3, 4};
    first[axis] = 1;
    second[axis] = 5;
    Operands o({first, second});
    check_gradients(o, [axis](const Context& context, const Operands& at) {
      return concatenate(context, at.inputs, axis);
    });
  }
  // A class token for every picture, registers for every picture, patches.
  Operands tokens({{1, 1, 4}, {1, 2, 4}, {3, 5, 4}});
  check_gradients(tokens, [](const Context& context, const Operands& o) {
    return concatenate(context, o.inputs, 1);
  });
  Queue queue(1);
  const Context context(queue);
  const Tensor joined = concatenate(context, tokens.inputs, 1).value();
  ASSERT_EQ(joined.shape(), Shape({3, 8, 4}));
  for (int64_t b = 0; b < 3; ++b)
    for (int64_t j = 0; j < 4; ++j) {
      EXPECT_EQ(joined.f32()[b * 32 + j], tokens.inputs[0].value().f32()[j]);
      EXPECT_EQ(joined.f32()[b * 32 + 8 + j], tokens.inputs[1].value().f32()[4 + j]);
      EXPECT_EQ(joined.f32()[b * 32 + 12 + j], tokens.inputs[2].value().f32()[b * 20 + j]);
    }
}

TEST(TokenOps, PermuteMovesElements) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = testing::random_tensor({2, 3, 4}, 1);
  const Tensor y = permute(context, x, std::array{1, 2, 0}).value();
  ASSERT_EQ(y.shape(), Shape({3, 4, 2}));
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t k = 0; k < 2; ++k)
        EXPECT_EQ(y.f32()[(i * 4 + j) * 2 + k], x.value().f32()[(k * 3 + i) * 4 + j]);
}

TEST(TokenOps, RefuseShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = Tensor::zeros({2, 3, 4});
  EXPECT_THROW(reshape(context, x, {5, 5}), Error);
  EXPECT_THROW(permute(context, x, std::array{0, 1}), Error);
  EXPECT_THROW(permute(context, x, std::array{0, 1, 1}), Error);
  EXPECT_THROW(permute(context, x, std::array{0, 1, 3}), Error);
  EXPECT_THROW(slice(context, x, 3, 0, 1), Error);
  EXPECT_THROW(slice(context, x, 1, 2, 4), Error);
  EXPECT_THROW(slice(context, x, 1, 2, 1), Error);
  EXPECT_THROW(concatenate(context, {}, 1), Error);
  const std::vector<Variable> widths{x, Tensor::zeros({2, 3, 5})};
  EXPECT_THROW(concatenate(context, widths, 1), Error);
  const std::vector<Variable> batches{x, Tensor::zeros({3, 3, 4})};
  EXPECT_THROW(concatenate(context, batches, 1), Error);
  EXPECT_THROW(mean_tokens(context, Tensor::zeros({2, 3})), Error);
  EXPECT_THROW(mean_tokens(context, Tensor::zeros({2, 0, 3})), Error);
  EXPECT_THROW(weighted_sum(context, Tensor::zeros({2, 4}), x), Error);
}

}  // namespace
}  // namespace vitrail
