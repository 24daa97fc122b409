// Which instruction set is chosen, and how the speed of bf16 dot products decides it.
#include "core/isa.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "core/bf16_speed.h"
#include "support/errors.h"

namespace vitrail {
namespace {

bool has(const std::string& name) {
  const std::vector<std::string> all = available_isas();
  return std::find(all.begin(), all.end(), name) != all.end();
}

TEST(Isa, WidenNeverTakesTheBf16DotProductAndDotAlwaysDoes) {
  EXPECT_NE(isa_for("", Bf16Products::widen), "avx512_bf16");
  for (const std::string& name : available_isas())
    EXPECT_EQ(isa_for(name, Bf16Products::by_speed), name) << "who names one has it";
  if (has("avx512_bf16")) {
    EXPECT_EQ(isa_for("", Bf16Products::dot), "avx512_bf16");
    EXPECT_EQ(isa_for("", Bf16Products::widen), "avx512_vnni");
    EXPECT_EQ(isa_for("avx512_bf16", Bf16Products::dot), "avx512_bf16");
  } else {
    EXPECT_ERROR(isa_for("", Bf16Products::dot), "no bf16 dot product");
  }
}

TEST(Isa, WhatContradictsItselfIsRefusedByName) {
  const std::string before = active_isa();
  EXPECT_ERROR(isa_for("avx512_bf16", Bf16Products::widen), "avx512_bf16");
  EXPECT_ERROR(isa_for("sse", Bf16Products::by_speed), "'sse' is not available");
  EXPECT_EQ(active_isa(), before) << "asking changes nothing";
}

TEST(Isa, TheSpeedOfTheDotProductDecidesWhereNothingIsForced) {
  const double speed = bf16_dot_speed();
  EXPECT_EQ(speed > 0, machine_has_bf16_dot());
  EXPECT_EQ(bf16_dot_speed(), speed) << "measured once";
  if (!has("avx512_bf16")) return;
  EXPECT_GT(speed, 0.1);
  EXPECT_LT(speed, 4.5);
  EXPECT_EQ(isa_for("", Bf16Products::by_speed) == "avx512_bf16", bf16_dot_pays());
}

// On a machine whose every core is taken.
TEST(Isa, ABusyMachineMeasuresTheSame) {
  if (!machine_has_bf16_dot()) GTEST_SKIP() << "no bf16 dot product here";
  const double before = bf16_dot_speed();
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (unsigned i = 0; i < 2 * std::thread::hardware_concurrency(); ++i)
    others.emplace_back([&] {
      while (!stop) {
      }
    });
  const double busy = measure_bf16_dot_speed();
  stop = true;
  for (std::thread& other : others) other.join();
  EXPECT_NEAR(busy / before, 1, 0.3);
}

}  // namespace
}  // namespace vitrail
