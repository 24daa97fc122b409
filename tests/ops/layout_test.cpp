#include "ops/layout.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

std::vector<float> floats(const Variable& x) {
  return {x.value().values().begin(), x.value().values().end()};
}

Tensor counting(const Shape& shape) {
  Tensor x = Tensor::empty(shape);
  for (int64_t i = 0; i < x.numel(); ++i) x.f32()[i] = static_cast<float>(i);
  return x;
}

TEST(LayoutOps, ExpandRepeatsAndSumsBack) {
  Queue queue(1);
  const Context context(queue);
  EXPECT_EQ(floats(expand(context, counting({2, 1}), {2, 2, 3})),
            (std::vector<float>{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1}));
  for (const Shape& shape : {Shape{3, 1, 2}, Shape{1, 2}, Shape{4, 2}, Shape{2}, Shape{3, 4, 1}}) {
    Operands o({shape});
    check_gradients(o, [](const Context& c, const Operands& at) {
      return expand(c, at.inputs[0], {3, 4, 2});
    });
  }
  EXPECT_ERROR(expand(context, counting({3}), {2, 2}), "do not fit together");
  EXPECT_ERROR(expand(context, counting({2, 3}), {3}), "cannot be repeated");
  EXPECT_ERROR(expand(context, counting({3}), {1}), "cannot be repeated");
}

TEST(LayoutOps, RollIsThatOfTorch) {
  Queue queue(2);
  const Context context(queue);
  EXPECT_EQ(floats(roll(context, counting({5}), {{0, 2}})), (std::vector<float>{3, 4, 0, 1, 2}));
  EXPECT_EQ(floats(roll(context, counting({5}), {{0, -7}})), (std::vector<float>{2, 3, 4, 0, 1}));
  const Tensor x = counting({2, 5, 4, 3});
  const Variable y = roll(context, x, {{1, -2}, {2, 3}});
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t h = 0; h < 5; ++h)
      for (int64_t w = 0; w < 4; ++w)
        for (int64_t c = 0; c < 3; ++c)
          EXPECT_EQ(y.value().f32()[((b * 5 + (h + 3) % 5) * 4 + (w + 3) % 4) * 3 + c],
                    x.f32()[((b * 5 + h) * 4 + w) * 3 + c]);
  EXPECT_EQ(floats(roll(context, y, {{2, -3}, {1, 2}})), floats(x));
  EXPECT_EQ(floats(roll(context, x, {})), floats(x));
  EXPECT_EQ(roll(context, Tensor::zeros({0, 3}), {{0, 1}, {1, 1}}).shape(), Shape({0, 3}));
  Operands o({{2, 4, 3}});
  check_gradients(o, [](const Context& c, const Operands& at) {
    return roll(c, at.inputs[0], {{1, 3}, {-1, -1}});
  });
  EXPECT_ERROR(roll(context, x, {{4, 1}}), "no axis 4");
  EXPECT_ERROR(roll(context, x, {{1, 1}, {-3, 1}}), "named twice");
}

TEST(LayoutOps, PadAndCrop) {
  Queue queue(2);
  const Context context(queue);
  EXPECT_EQ(floats(pad(context, counting({2, 2}), {{1, 1, 2}, {0, 0, 1}}, 9)),
            (std::vector<float>{9, 0, 1, 9, 9, 9, 2, 3, 9, 9, 9, 9, 9, 9, 9}));
  EXPECT_EQ(floats(pad(context, counting({3, 4}), {{0, -1, 0}, {1, -1, -1}})),
            (std::vector<float>{5, 6, 9, 10}));
  // Taken away in front, added behind.
  EXPECT_EQ(floats(pad(context, counting({4}), {{0, -3, 2}})), (std::vector<float>{3, 0, 0}));
  EXPECT_EQ(floats(pad(context, counting({2}), {{0, -2, 3}}, 4)), (std::vector<float>{4, 4, 4}));
  for (const auto& margins :
       {std::vector<AxisMargin>{{1, 1, 2}, {2, 0, 3}}, std::vector<AxisMargin>{{1, -1, 2}},
        std::vector<AxisMargin>{{-1, -1, -1}, {0, 2, -1}}}) {
    Operands o({{2, 3, 4}});
    check_gradients(o, [&](const Context& c, const Operands& at) {
      return pad(c, at.inputs[0], margins, 0.5f);
    });
  }
  EXPECT_ERROR(pad(context, counting({2, 2}), {{0, -2, -1}}), "take more");
  EXPECT_ERROR(pad(context, counting({2, 2}), {{2, 1, 1}}), "no axis 2");
  EXPECT_ERROR(pad(context, counting({2, 2}), {{0, 1, 1}, {-2, 1, 1}}), "named twice");
}

}  // namespace
}  // namespace vitrail
