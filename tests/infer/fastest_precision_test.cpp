#include "infer/fastest_precision.h"

#include <gtest/gtest.h>

#include "infer/session.h"
#include "infer/small_models.h"

namespace vitrail {
namespace {

PrecisionPlan quantized_plan() {
  PrecisionPlan plan = default_plan(Precision::int8);
  plan.layers["blocks.0"] = Precision::bf16;  // as quantize --auto raised it
  return plan;
}

TEST(FastestPrecision, FollowsTheRates) {
  const PrecisionRates dot{.bf16 = 2, .int8 = 4}, slow{.bf16 = 1, .int8 = 4},
      none{.bf16 = 1, .int8 = 1.1};
  EXPECT_EQ(fastest_precision({}, dot).plan, default_plan(Precision::bf16));
  EXPECT_EQ(fastest_precision({}, slow).plan, PrecisionPlan{});
  EXPECT_EQ(fastest_precision({}, none).plan, PrecisionPlan{});
  EXPECT_EQ(fastest_precision(quantized_plan(), dot).plan, quantized_plan());
  EXPECT_EQ(fastest_precision(quantized_plan(), slow).plan, quantized_plan());
  EXPECT_EQ(fastest_precision(quantized_plan(), none).plan, PrecisionPlan{});
}

// 8 bits are the model's to allow, whatever they would gain.
TEST(FastestPrecision, NobodyIsQuantizedUnasked) {
  const PrecisionChoice choice = fastest_precision({}, {.bf16 = 1, .int8 = 100});
  EXPECT_EQ(choice.plan, PrecisionPlan{});
  EXPECT_NE(choice.reason.find("8 bits only after"), std::string::npos) << choice.reason;
}

TEST(FastestPrecision, TheReasonIsOneLineThatNamesTheChoice) {
  for (const PrecisionPlan& own : {PrecisionPlan{}, quantized_plan()})
    for (const PrecisionRates rates : {PrecisionRates{2, 4}, PrecisionRates{1, 1}}) {
      const PrecisionChoice choice = fastest_precision(own, rates);
      EXPECT_TRUE(choice.reason.starts_with(name_of(choice.plan.base))) << choice.reason;
      EXPECT_EQ(choice.reason.find('\n'), std::string::npos);
    }
}

TEST(FastestPrecision, ASessionTakesItAndPacksForIt) {
  const auto model = load_model("scenes", {.pack = PackOptions{.fastest = true}});
  Session session(model, {.fastest = true});
  EXPECT_EQ(session.precision(), fastest_precision(model->precision).plan);
}

}  // namespace
}  // namespace vitrail
