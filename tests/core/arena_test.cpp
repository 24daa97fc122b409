#include "core/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

namespace vitrail {
namespace {

constexpr size_t kMegabyte = size_t{1} << 20;

TEST(Arena, BlocksLieSideBySideAndFreedNeighboursJoin) {
  Arena arena;
  std::byte* a = arena.acquire(3 * kMegabyte);
  std::byte* b = arena.acquire(5 * kMegabyte);
  std::byte* c = arena.acquire(kMegabyte);
  EXPECT_EQ(b, a + 3 * kMegabyte);
  EXPECT_EQ(c, b + 5 * kMegabyte);
  EXPECT_EQ(arena.touched(), 9 * kMegabyte);
  arena.give_back(a, 3 * kMegabyte);
  arena.give_back(b, 5 * kMegabyte);
  const uint64_t growths = arena.growths();
  EXPECT_EQ(arena.acquire(8 * kMegabyte), a);
  EXPECT_EQ(arena.growths(), growths);
  // What does not fit below the top takes the free end along.
  arena.give_back(c, kMegabyte);
  EXPECT_EQ(arena.acquire(2 * kMegabyte), c);
  EXPECT_EQ(arena.touched(), 10 * kMegabyte);
}

TEST(Arena, TakesTheSmallestRangeThatHoldsABlock) {
  Arena arena;
  std::byte* wide = arena.acquire(6 * kMegabyte);
  arena.acquire(kMegabyte);
  std::byte* narrow = arena.acquire(2 * kMegabyte);
  arena.acquire(kMegabyte);
  arena.give_back(wide, 6 * kMegabyte);
  arena.give_back(narrow, 2 * kMegabyte);
  EXPECT_EQ(arena.acquire(2 * kMegabyte), narrow);
  EXPECT_EQ(arena.acquire(2 * kMegabyte), wide);
}

TEST(Arena, TrimmingGivesBackWhatIsFreeAndCountsItsReturn) {
  Arena arena;
  std::byte* free = arena.acquire(8 * kMegabyte);
  std::byte* held = arena.acquire(kMegabyte);
  std::memset(held, 7, kMegabyte);
  std::memset(free, 7, 8 * kMegabyte);
  arena.give_back(free, 8 * kMegabyte);
  arena.trim();
  EXPECT_EQ(arena.touched(), kMegabyte);
  EXPECT_EQ(held[0], std::byte{7});
  EXPECT_EQ(held[kMegabyte - 1], std::byte{7});
  const uint64_t growths = arena.growths();
  EXPECT_EQ(arena.acquire(8 * kMegabyte), free);
  EXPECT_EQ(free[0], std::byte{0});  // fresh from the system
  EXPECT_GT(arena.growths(), growths);
  EXPECT_EQ(arena.touched(), 9 * kMegabyte);
  arena.give_back(free, 8 * kMegabyte);
  arena.give_back(held, kMegabyte);
  arena.trim();
  EXPECT_EQ(arena.touched(), 0u);
}

TEST(Arena, ALargerBlockThanARegionHasItsOwn) {
  Arena arena;
  const size_t bytes = 300 * kMegabyte;
  std::byte* block = arena.acquire(bytes);
  ASSERT_NE(block, nullptr);
  block[bytes - 1] = std::byte{1};
  arena.give_back(block, bytes);
  EXPECT_EQ(arena.acquire(bytes), block);
  EXPECT_EQ(arena.acquire(size_t{1} << 60), nullptr);
}

TEST(Arena, BlocksNeverOverlap) {
  struct Block {
    std::byte* data;
    size_t bytes;
    std::byte mark;
  };
  Arena arena;
  std::vector<Block> blocks;
  std::mt19937 random(1);
  for (int step = 0; step < 4000; ++step) {
    if (blocks.size() < 40 && random() % 2 == 0) {
      const size_t bytes = (1 + random() % 700) * Arena::kGrain;
      const auto mark = static_cast<std::byte>(step);
      blocks.push_back({arena.acquire(bytes), bytes, mark});
      blocks.back().data[0] = blocks.back().data[bytes - 1] = mark;
    } else if (!blocks.empty()) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      const Block block = blocks.back();
      blocks.pop_back();
      ASSERT_EQ(block.data[0], block.mark);
      ASSERT_EQ(block.data[block.bytes - 1], block.mark);
      arena.give_back(block.data, block.bytes);
    }
    if (step % 500 == 0) arena.trim();
  }
  for (const Block& block : blocks) arena.give_back(block.data, block.bytes);
  arena.trim();
  EXPECT_EQ(arena.touched(), 0u);
}

}  // namespace
}  // namespace vitrail
