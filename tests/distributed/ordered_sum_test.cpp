// Processes as threads with mailboxes: sums in the order of the ranks, to the bit, whatever the
// length and the order in which messages arrive.
#include "distributed/ordered_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <span>
#include <thread>

#include "core/error.h"
#include "support/thread_communicator.h"

namespace vitrail {
namespace {

using testing::Mailboxes;
using testing::ThreadCommunicator;

// Values of very different sizes, so that another order of additions gives other bits.
std::vector<float> values_of(int rank, size_t count) {
  std::mt19937 random(static_cast<unsigned>(rank * 1000 + 7));
  std::uniform_real_distribution<float> size(-8, 8), sign(-1, 1);
  std::vector<float> values(count);
  for (float& value : values) value = sign(random) * std::pow(10.0f, size(random));
  return values;
}

TEST(OrderedSum, AddsInTheOrderOfTheRanks) {
  for (const int ranks : {1, 2, 3, 5}) {
    for (const size_t count : {size_t{0}, size_t{1}, size_t{4}, size_t{1003}}) {
      std::vector<float> want = values_of(0, count);
      for (int rank = 1; rank < ranks; ++rank) {
        const std::vector<float> more = values_of(rank, count);
        for (size_t i = 0; i < count; ++i) want[i] += more[i];
      }
      Mailboxes boxes;
      std::vector<std::vector<float>> got(static_cast<size_t>(ranks));
      std::vector<std::thread> threads;
      for (int rank = 0; rank < ranks; ++rank)
        threads.emplace_back([&, rank] {
          ThreadCommunicator communicator(boxes, rank, ranks);
          // Two at once, with tags of their own, and a third with the first one's tag again.
          std::vector<float> values = values_of(rank, count), twice = values;
          OrderedSum<float> first(communicator, values, 1), second(communicator, twice, 2);
          bool one = false, two = false;
          wait_until(communicator, [&] {
            two = two || second.advance();
            one = one || first.advance();
            return one && two;
          });
          EXPECT_EQ(values, twice);
          std::vector<double> numbers{1.0 + rank};
          sum_in_rank_order(communicator, std::span(numbers), 1);
          EXPECT_EQ(numbers[0], ranks * (ranks + 1) / 2);
          got[static_cast<size_t>(rank)] = values;
        });
      for (std::thread& thread : threads) thread.join();
      for (const auto& values : got)
        EXPECT_TRUE(
            std::ranges::equal(std::as_bytes(std::span(values)), std::as_bytes(std::span(want))))
            << ranks << " ranks, " << count << " values";
    }
  }
}

TEST(Communicator, WaitingEndsWhenTheOthersAreLost) {
  Mailboxes boxes;
  ThreadCommunicator communicator(boxes, 0, 2);
  communicator.on_wait = [](double seconds) {
    check(seconds < 0.05, "train", "the other process is lost");
  };
  std::vector<float> values(8);
  EXPECT_THROW(sum_in_rank_order(communicator, std::span(values), 1), Error);
}

TEST(Communicator, AProcessAloneIsAJob) {
  const auto alone = join_job();  // the tests are not started by mpirun
  EXPECT_EQ(alone->rank(), 0);
  EXPECT_EQ(alone->ranks(), 1);
  std::vector<float> values{1, 2, 3};
  sum_in_rank_order(*alone, std::span(values), 0);
  EXPECT_EQ(values, (std::vector<float>{1, 2, 3}));
  EXPECT_THROW(alone->send({}, 1, 0), Error);
}

}  // namespace
}  // namespace vitrail
