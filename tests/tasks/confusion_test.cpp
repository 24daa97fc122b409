#include "tasks/confusion.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/statistics.h"

namespace vitrail {
namespace {

// Figures by hand, as scikit-learn's classification_report has them.
TEST(Confusion, PrecisionRecallAndF1) {
  Confusion confusion(4);
  for (int i = 0; i < 3; ++i) confusion.add(0, 0);
  confusion.add(0, 1);
  confusion.add(1, 0);
  confusion.add(1, 1);
  confusion.add(1, Confusion::kOther);
  confusion.add(2, 0);
  const std::vector<ClassMetrics> classes = confusion.by_class();
  ASSERT_EQ(classes.size(), 4u);
  EXPECT_EQ(classes[0].support, 4);
  EXPECT_EQ(classes[0].answered, 5);
  EXPECT_DOUBLE_EQ(classes[0].precision, 3.0 / 5);
  EXPECT_DOUBLE_EQ(classes[0].recall, 3.0 / 4);
  EXPECT_DOUBLE_EQ(classes[0].f1, 2.0 / 3);
  EXPECT_EQ(classes[1].support, 3);
  EXPECT_DOUBLE_EQ(classes[1].precision, 1.0 / 2);
  EXPECT_DOUBLE_EQ(classes[1].recall, 1.0 / 3);
  EXPECT_DOUBLE_EQ(classes[1].f1, 0.4);
  EXPECT_TRUE(std::isnan(classes[2].precision));  // never answered
  EXPECT_DOUBLE_EQ(classes[2].recall, 0);
  EXPECT_DOUBLE_EQ(classes[2].f1, 0);
  EXPECT_EQ(classes[3].support, 0);  // not there: no recall, and no part in the means
  EXPECT_TRUE(std::isnan(classes[3].recall));
  const MacroAverages macro = macro_averages(classes);
  EXPECT_DOUBLE_EQ(macro.precision, (0.6 + 0.5 + 0) / 3);
  EXPECT_DOUBLE_EQ(macro.recall, (0.75 + 1.0 / 3 + 0) / 3);
  EXPECT_DOUBLE_EQ(macro.f1, (2.0 / 3 + 0.4 + 0) / 3);
}

TEST(Confusion, MistakesAreTheMostFrequentFirst) {
  Confusion confusion(3);
  confusion.add(0, 0);
  confusion.add(2, 1);
  confusion.add(0, 2);
  for (int i = 0; i < 2; ++i) confusion.add(1, Confusion::kOther);
  const std::vector<Confusion::Cell> mistakes = confusion.mistakes();
  ASSERT_EQ(mistakes.size(), 3u);
  EXPECT_EQ(mistakes[0].truth, 1);
  EXPECT_EQ(mistakes[0].answer, Confusion::kOther);
  EXPECT_EQ(mistakes[0].count, 2);
  EXPECT_EQ(mistakes[1].truth, 0);
  EXPECT_EQ(mistakes[2].truth, 2);
  EXPECT_EQ(confusion.count(2, 1), 1);
  EXPECT_EQ(confusion.count(1, 2), 0);
}

// Computed apart from this code.
TEST(Statistics, WilsonInterval) {
  const Interval some = wilson_interval(8, 10);
  EXPECT_NEAR(some.low, 0.49016247153664183, 1e-12);
  EXPECT_NEAR(some.high, 0.9433178485456247, 1e-12);
  const Interval all = wilson_interval(50, 50);
  EXPECT_NEAR(all.low, 0.9286524008666414, 1e-12);
  EXPECT_DOUBLE_EQ(all.high, 1);
  EXPECT_EQ(wilson_interval(0, 7).low, 0);
  EXPECT_EQ(wilson_interval(0, 0).high, 1);
}

}  // namespace
}  // namespace vitrail
