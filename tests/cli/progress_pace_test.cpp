#include <gtest/gtest.h>

#include "apps/cli/progress.h"

namespace vitrail::cli {
namespace {

TEST(LogPace, TheFirstStepThenTheRarerOfAMinuteAndATenth) {
  LogPace fast(0);  // an epoch of 20 s: a tenth passes each 2 s, a minute each 3 epochs
  EXPECT_TRUE(fast.due(0.01, 0.2));
  EXPECT_FALSE(fast.due(0.5, 10));
  EXPECT_FALSE(fast.due(3.0, 60));  // the last line was at 0.2 s
  EXPECT_TRUE(fast.due(3.1, 60.2));
  EXPECT_FALSE(fast.due(3.2, 61));

  LogPace slow(0);  // an epoch of an hour: a tenth is six minutes
  EXPECT_TRUE(slow.due(1.0 / 3600, 1));
  EXPECT_FALSE(slow.due(61.0 / 3600, 61));
  EXPECT_FALSE(slow.due(360.0 / 3600, 360));
  EXPECT_TRUE(slow.due(361.0 / 3600, 361));
}

TEST(LogPace, ShortWorkSaysNothing) {
  LogPace pace(10);
  EXPECT_FALSE(pace.due(0.5, 5));
  EXPECT_FALSE(pace.due(1.0, 9.9));
  LogPace longer(10);
  EXPECT_TRUE(longer.due(0.1, 10));
  EXPECT_FALSE(longer.due(0.3, 30));
}

TEST(Progress, Texts) {
  EXPECT_EQ(clock_text(0.4), "0:00");
  EXPECT_EQ(clock_text(65), "1:05");
  EXPECT_EQ(clock_text(3723), "1:02:03");
  EXPECT_EQ(bar_text(0.5, 8), "[####....]");
  EXPECT_EQ(bar_text(2, 3), "[###]");
  EXPECT_EQ(bar_text(0, 3), "[...]");
}

}  // namespace
}  // namespace vitrail::cli
