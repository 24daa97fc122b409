#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/parallel.h"
#include "support/comes_true.h"

namespace vitrail {
namespace {

using testing::comes_true;

TEST(SpareWork, EveryItemIsDoneOnceBesideTheJobs) {
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 50; ++round) {
      std::vector<std::atomic<int>> done(23);
      SpareWork work(23, [&](int64_t i) { ++done[static_cast<size_t>(i)]; });
      pool.offer(work);
      std::atomic<int64_t> sum{0};
      for (int job = 0; job < 5; ++job) pool.parallel_for(100, [&](int64_t i, int) { sum += i; });
      EXPECT_EQ(sum, 5 * 4950);
      pool.finish(work);
      for (const auto& count : done) EXPECT_EQ(count, 1);
    }
  }
}

TEST(SpareWork, WaitingWorkersTakeItAndOneThreadKeepsIt) {
  ThreadPool two(2), one(1);
  const auto caller = std::this_thread::get_id();
  std::atomic<int> elsewhere{0}, here{0};
  const auto count = [&](int64_t) { ++(std::this_thread::get_id() == caller ? here : elsewhere); };
  SpareWork work(5, count);
  two.offer(work);
  EXPECT_TRUE(comes_true([&] { return elsewhere == 5; }));  // the caller does something else
  two.finish(work);
  SpareWork own(5, count);
  one.offer(own);
  EXPECT_EQ(here, 0);
  one.finish(own);
  EXPECT_EQ(here, 5);
}

TEST(SpareWork, AWorkerThatSleepsIsWoken) {
  ThreadPool pool(2);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  std::atomic<bool> done{false};
  SpareWork work(1, [&](int64_t) { done = true; });
  pool.offer(work);
  EXPECT_TRUE(comes_true([&] { return done.load(); }));
  pool.finish(work);
}

TEST(SpareWork, FinishRethrowsAndWithdrawDropsWhatHasNotBegun) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    SpareWork bad(4, [](int64_t i) {
      if (i == 2) throw std::runtime_error("item 2");
    });
    pool.offer(bad);
    EXPECT_THROW(pool.finish(bad), std::runtime_error);
    std::atomic<int64_t> begun{0}, ended{0};
    constexpr int64_t kEndless = 1'000'000'000;
    {
      SpareWork slow(kEndless, [&](int64_t) {
        ++begun;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        ++ended;
      });
      pool.offer(slow);
      EXPECT_TRUE(threads == 1 || comes_true([&] { return begun > 0; }));
      pool.withdraw(slow);
    }
    EXPECT_EQ(begun, ended);
    EXPECT_LT(begun, kEndless);
  }
}

TEST(SpareWork, AnItemMayUseThePoolItself) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum{0};
  SpareWork work(3, [&](int64_t) { pool.parallel_for(10, [&](int64_t i, int) { sum += i; }); });
  pool.offer(work);
  pool.finish(work);
  EXPECT_EQ(sum, 135);
}

}  // namespace
}  // namespace vitrail
