#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "core/tensor.h"

namespace vitrail {
namespace {

TEST(Half, RoundTripsEveryHalfBitPattern) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = f16_to_f32(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value))));
    } else {
      ASSERT_EQ(f32_to_f16(value), bits);
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f), 0x3C00);  // tie goes to even
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f + 0x1p-20f), 0x3C01);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7C00);  // overflows to infinity
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0);
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f), 0x3F80);
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f + 0x1p-16f), 0x3F81);
}

TEST(Shape, CountsAndRefusesOverflow) {
  EXPECT_EQ((Shape{2, 3, 4}).numel(), 24);
  EXPECT_EQ((Shape{2, 3, 4})[-1], 4);
  EXPECT_EQ((Shape{2, 3}).str(), "[2, 3]");
  EXPECT_THROW((Shape{int64_t{1} << 40, int64_t{1} << 40}).numel(), Error);
  EXPECT_THROW((Shape{-1}), Error);
}

TEST(Tensor, ReshapesRowsAndConverts) {
  const Tensor tensor = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
  EXPECT_EQ(tensor.reshape({-1, 3}).shape(), (Shape{2, 3}));
  EXPECT_EQ(tensor.rows(1, 3).f32()[0], 3);
  EXPECT_EQ(tensor.to(DType::i64).data<int64_t>()[5], 6);
  EXPECT_EQ(tensor.to(DType::bf16).to(DType::f32).f32()[4], 5);
  EXPECT_THROW(tensor.reshape({4, 2}), Error);
  EXPECT_THROW(tensor.rows(2, 4), Error);
}

TEST(Memory, SecondPassAllocatesNothing) {
  const auto pass = [] {
    Tensor a = Tensor::empty({300, 700});
    Tensor b = Tensor::empty({3000, 700});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a.raw()) % kAlignment, 0u);
  };
  pass();
  const uint64_t before = memory_stats().system_allocations;
  pass();
  EXPECT_EQ(memory_stats().system_allocations, before);
}

TEST(ThreadPool, RunsEveryChunkOnceAndRethrows) {
  ThreadPool pool(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::atomic<int>> seen(97);
    pool.parallel_for(97, [&](int64_t i, int worker) {
      ASSERT_LT(worker, 4);
      ++seen[i];
    });
    for (auto& count : seen) ASSERT_EQ(count, 1);
  }
  EXPECT_THROW(pool.parallel_for(8,
                                 [](int64_t i, int) {
                                   if (i == 5) throw std::runtime_error("five");
                                 }),
               std::runtime_error);
  std::atomic<int> nested{0};
  pool.parallel_for(4,
                    [&](int64_t, int) { pool.parallel_for(3, [&](int64_t, int) { ++nested; }); });
  EXPECT_EQ(nested, 12);
}

TEST(ThreadPool, CallersTakeTurns) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller)
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round)
        pool.parallel_for(10, [&](int64_t i, int) { sum += i; });
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 3 * 100 * 45);
}

// A pool that is destroyed while its workers have just been woken must not lose the stop.
TEST(ThreadPool, StopsWhileItsWorkersWake) {
  for (int round = 0; round < 500; ++round) {
    ThreadPool pool(3);
    std::atomic<int> count{0};
    for (int job = 0; job < round % 4; ++job) pool.parallel_for(3, [&](int64_t, int) { ++count; });
    ASSERT_EQ(count, 3 * (round % 4));
  }
}

// Known answers of Random123's philox4x32-10.
TEST(Philox, MatchesKnownAnswers) {
  const auto zero = philox(0, 0, 0);
  EXPECT_EQ(zero[0], 0x6627e8d5u);
  EXPECT_EQ(zero[1], 0xe169c58du);
  EXPECT_EQ(zero[2], 0xbc57ac4cu);
  EXPECT_EQ(zero[3], 0x9b00dbd8u);
  const auto ones = philox(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0});
  EXPECT_EQ(ones[0], 0x408f276du);
  EXPECT_EQ(ones[3], 0x6d5451fdu);
}

TEST(Rng, HasTheMomentsItPromises) {
  Rng rng(RandomKey(7, 3), "blocks.0");
  double sum = 0, squares = 0, extreme = 0;
  constexpr int kSamples = 200000;
  for (int i = 0; i < kSamples; ++i) {
    const double value = rng.normal();
    sum += value;
    squares += value * value;
    extreme = std::max(extreme, std::abs(rng.truncated_normal(1.0, 2.0)));
    ASSERT_LT(rng.below(7), 7);
  }
  EXPECT_NEAR(sum / kSamples, 0, 0.01);
  EXPECT_NEAR(squares / kSamples, 1, 0.02);
  EXPECT_LE(extreme, 2.0);
}

}  // namespace
}  // namespace vitrail
