#include "ops/patch_projection.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::Operands;

constexpr WindowOptions kWindow{
    .kernel_height = 2, .kernel_width = 3, .stride_height = 2, .stride_width = 3};

TEST(PatchProjection, GradientsMatchDifferences) {
  Operands o({{2, 3, 4, 6}}, {{5, 3, 2, 3}, {5}});
  testing::check_gradients(o, [](const Context& context, const Operands& at) {
    return patch_projection(context, at.inputs[0], kWindow, false, *at.parameters[0],
                            at.parameters[1].get());
  });
}

// Several blocks, the last one shorter, in both orders of a patch's values.
TEST(PatchProjection, BlocksOfPatchesGiveTheBitsOfAllAtOnce) {
  const Operands o({{3, 3, 28, 39}}, {{5, 18}, {5}});  // 3 * 14 * 13 = 546 patches
  Queue queue(2);
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8})
    for (const bool channels_last : {false, true}) {
      const PrecisionPlan plan{.base = precision, .layers = {}};
      Context context(queue);
      context.precision = &plan;
      const Tensor blocks = patch_projection(context, o.inputs[0], kWindow, channels_last,
                                             *o.parameters[0], o.parameters[1].get())
                                .value();
      const Tensor whole = linear(context, unfold(context, o.inputs[0], kWindow, channels_last),
                                  *o.parameters[0], o.parameters[1].get())
                               .value();
      ASSERT_EQ(blocks.shape(), whole.shape());
      EXPECT_TRUE(std::ranges::equal(blocks.values(), whole.values())) << name_of(precision);
    }
}

TEST(PatchProjection, RefusesWhatDoesNotFit) {
  const Operands o({{1, 3, 1, 6}}, {{5, 18}, {5}});
  Queue queue(1);
  EXPECT_THROW(
      patch_projection(Context(queue), o.inputs[0], kWindow, false, *o.parameters[0], nullptr),
      Error);
}

}  // namespace
}  // namespace vitrail
