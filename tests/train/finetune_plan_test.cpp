#include "train/finetune/finetune_plan.h"

#include <gtest/gtest.h>

#include "core/statistics.h"
#include "models/architectures.h"

namespace vitrail {
namespace {

constexpr int64_t kViTTiny = 1'078'000'000, kViTLarge = 61'600'000'000;  // multiply-adds a picture

FinetuneFacts flowers(Measured probe = {150, 204}) {
  return {.pictures = 816,
          .classes = 17,
          .parameters = 5'500'000,
          .multiply_adds = kViTTiny,
          .probe = probe};
}

FinetunePlan plan_of(const FinetuneFacts& facts, double minutes = 10,
                     FinetuneMethod method = FinetuneMethod::automatic) {
  FinetuneOptions options;
  options.minutes = minutes;
  options.method = method;
  return plan_finetune(architecture_config("vit_tiny_patch16_224"), options, facts);
}

// From the definition: the interval of a model that makes no mistake holds the probe's accuracy.
TEST(HasWon, WhereNoModelCouldBeToldFromTheProbe) {
  for (const int64_t pictures : {30, 100, 204, 1000, 50'000}) {
    const Interval best = wilson_interval(pictures, pictures);
    for (int64_t wrong = 0; wrong <= 10; ++wrong) {
      const double accuracy = static_cast<double>(pictures - wrong) / static_cast<double>(pictures);
      EXPECT_EQ(has_won({pictures - wrong, pictures}),
                accuracy >= best.low && accuracy <= best.high)
          << wrong << " of " << pictures;
    }
  }
}

TEST(HasWon, AsWilsonsFormulaCountsIt) {
  // n / (n + z^2) of 204 pictures is 98.15%: three mistakes are within, four are not.
  EXPECT_TRUE(has_won({201, 204}));  // 98.5%
  EXPECT_FALSE(has_won({200, 204}));
  EXPECT_FALSE(has_won({1970, 2000}));  // 98.5%, and enough pictures to see a gain
}

TEST(HasWon, OfFewPicturesOnlyWithoutAMistake) {
  EXPECT_TRUE(has_won({4, 4}));
  EXPECT_FALSE(has_won({3, 4}));
  EXPECT_FALSE(has_won({28, 29}));
  EXPECT_TRUE(has_won({29, 30}));
  EXPECT_FALSE(has_won({0, 0}));
}

TEST(HasWon, NotOfSeveralClassesAPicture) {
  EXPECT_FALSE(has_won({.correct = 204, .pictures = 204, .map = 1.0}));
}

TEST(FinetunePlan, StopsAfterAProbeThatHasWonAndSaysWhatItSpared) {
  const FinetunePlan won = plan_of(flowers({201, 204}));
  EXPECT_EQ(won.method, FinetuneMethod::probe);
  EXPECT_EQ(won.spared, FinetuneMethod::full);
  EXPECT_NE(won.why.find("98.5%"), std::string::npos) << won.why;
  EXPECT_NE(won.why.find("98.2% to 100%"), std::string::npos) << won.why;
  EXPECT_EQ(plan_of(flowers({200, 204})).method, FinetuneMethod::full);
  EXPECT_EQ(plan_of(flowers({200, 204})).spared, std::nullopt);
}

TEST(FinetunePlan, WhatWasAskedForIsDone) {
  for (const auto method : {FinetuneMethod::full, FinetuneMethod::lora, FinetuneMethod::partial})
    EXPECT_EQ(plan_of(flowers({204, 204}), 10, method).method, method);
}

TEST(FinetunePlan, CountsProductsAgainstMinutes) {
  const auto method = [](int64_t multiply_adds, double minutes) {
    FinetuneFacts facts = flowers();
    facts.multiply_adds = multiply_adds;
    return plan_of(facts, minutes).method;
  };
  EXPECT_EQ(method(kViTTiny, 10), FinetuneMethod::full);
  // Four epochs of the whole take 4 * 816 * 3.4 * 1.078e9 / 1e11 s = 2.0 minutes, of adapters 1.76,
  // of a third of the blocks 1.06.
  EXPECT_EQ(method(kViTTiny, 2.0), FinetuneMethod::full);
  EXPECT_EQ(method(kViTTiny, 1.9), FinetuneMethod::lora);
  EXPECT_EQ(method(kViTTiny, 1.5), FinetuneMethod::partial);
  EXPECT_EQ(method(kViTTiny, 0.9), FinetuneMethod::probe);
  EXPECT_EQ(method(kViTLarge, 10), FinetuneMethod::probe);
}

TEST(FinetunePlan, EpochsFollowFromTheSameCount) {
  FinetuneFacts facts = flowers();
  // An epoch takes 816 * 3.4 * 1.078e9 / 1e11 = 29.9 s.
  EXPECT_EQ(plan_of(facts, 5).config.epochs, 10);
  EXPECT_EQ(plan_of(facts, 60).config.epochs, 20);
}

TEST(FinetunePlan, CallsAModelLargeThatIs) {
  FinetuneFacts facts = flowers();
  EXPECT_EQ(plan_of(facts, 1.9).why.find("large"), std::string::npos);
  facts.parameters = 86'567'656;
  const FinetunePlan large = plan_of(facts);
  EXPECT_EQ(large.method, FinetuneMethod::lora);
  EXPECT_NE(large.why.find("large model (86.6 M weights)"), std::string::npos) << large.why;
}

}  // namespace
}  // namespace vitrail
