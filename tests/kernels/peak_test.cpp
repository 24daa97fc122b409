#include "kernels/peak.h"

#include <gtest/gtest.h>

#include "support/isa.h"

namespace vitrail::kernels {
namespace {

// How high a peak is belongs to bench/speed_gate: here every instruction set's loop runs, and ends.
TEST(Peak, IsMeasuredUnderEveryInstructionSet) {
  testing::for_each_isa([&](Queue& queue) {
    for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
      SCOPED_TRACE(name_of(precision));
      constexpr double kOneRound = 0;
      EXPECT_GT(peak_operations(queue, precision, kOneRound), 0);
    }
  });
}

TEST(Peak, MemoryIsRead) {
  Queue queue(2);
  EXPECT_GT(read_bandwidth(queue, int64_t{8} << 20), 0);
}

}  // namespace
}  // namespace vitrail::kernels
