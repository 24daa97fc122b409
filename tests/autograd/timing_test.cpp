#include "autograd/timing.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace vitrail {
namespace {

void wait(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

struct Timing : ::testing::Test {
  Queue queue{1};
  Timings timings;
  Context context{queue};
  void SetUp() override { context.timings = &timings; }
};

TEST_F(Timing, TimeInsideAnotherOperationIsCountedOnce) {
  const auto start = std::chrono::steady_clock::now();
  {
    const Timed outer(context, {"outer", "a"});
    wait(5);
    {
      const Timed inner(context, {"inner", "b", 7});
      wait(20);
    }
  }
  const std::chrono::duration<double> all = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(timings.entries().size(), 2u);
  const Timings::Entry &outer = timings.entries()[0], &inner = timings.entries()[1];
  EXPECT_EQ(outer.path, "a");
  EXPECT_EQ(inner.path, "b");
  EXPECT_EQ(inner.multiply_adds, 7);
  EXPECT_GE(inner.seconds, 0.02);
  EXPECT_GE(outer.seconds, 0.005);
  EXPECT_LE(outer.seconds + inner.seconds, all.count());  // however late a sleeper is woken
}

TEST_F(Timing, WithoutAPathItIsPartOfWhatIsAroundIt) {
  {
    const Timed outer(context, {"outer", "a", 1});
    const Timed inner(context, {"inner", {}, 2});
    const Timed deeper(context, {"deeper", "b", 4});
  }
  { const Timed alone(context, {"alone"}); }
  ASSERT_EQ(timings.entries().size(), 3u);
  EXPECT_EQ(timings.entries()[0].multiply_adds, 3);
  EXPECT_EQ(timings.entries()[1].operation, std::string("deeper"));
  EXPECT_EQ(timings.entries()[2].operation, std::string("alone"));
}

TEST_F(Timing, PrecisionIsThePlansUnlessTheOperationSaysIts) {
  PrecisionPlan plan{.base = Precision::int8, .layers = {{"head", Precision::bf16}}};
  context.precision = &plan;
  { const Timed timed(context, {"linear", "blocks.0.mlp.fc1.weight"}); }
  { const Timed timed(context, {"linear", "head.weight"}); }
  { const Timed timed(context, {"attention", "blocks.0.attn", 0, Precision::f32}); }
  context.precision = nullptr;
  { const Timed timed(context, {"linear", "head.weight"}); }
  std::vector<Precision> precisions;
  for (const Timings::Entry& entry : timings.entries()) precisions.push_back(entry.precision);
  EXPECT_EQ(precisions, (std::vector<Precision>{Precision::int8, Precision::bf16, Precision::f32,
                                                Precision::f32}));
}

}  // namespace
}  // namespace vitrail
