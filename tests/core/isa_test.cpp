// Which instruction set is chosen, and how the speed of bf16 dot products decides it.
#include "core/isa.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "core/bf16_speed.h"
#include "support/errors.h"

namespace vitrail {
namespace {

// The one with bf16 dot products that this machine and build have; "" where they lack them.
std::string isa_with_bf16() {
  for (const std::string& name : available_isas())
    if (name.ends_with("_bf16")) return name;
  return "";
}

TEST(Isa, WidenNeverTakesTheBf16DotProductAndDotAlwaysDoes) {
  EXPECT_FALSE(isa_for("", Bf16Products::widen).ends_with("_bf16"));
  for (const std::string& name : available_isas())
    EXPECT_EQ(isa_for(name, Bf16Products::by_speed), name) << "who names one has it";
  const std::string with = isa_with_bf16();
  if (with.empty()) {
    EXPECT_ERROR(isa_for("", Bf16Products::dot), "no bf16 dot product");
    return;
  }
  EXPECT_EQ(isa_for("", Bf16Products::dot), with);
  EXPECT_EQ(isa_for(with, Bf16Products::dot), with);
  EXPECT_ERROR(isa_for(with, Bf16Products::widen), with);
}

TEST(Isa, WhatContradictsItselfIsRefusedByName) {
  const std::string before = active_isa();
  EXPECT_ERROR(isa_for("sse", Bf16Products::by_speed), "'sse' is not available");
  EXPECT_EQ(active_isa(), before) << "asking changes nothing";
}

TEST(Isa, TheSpeedOfTheDotProductDecidesWhereNothingIsForced) {
  const double speed = bf16_dot_speed();
  EXPECT_EQ(speed > 0, machine_has_bf16_dot());
  EXPECT_EQ(bf16_dot_speed(), speed) << "measured once";
  if (isa_with_bf16().empty()) return;
  EXPECT_GT(speed, 0.1);
  EXPECT_LT(speed, 4.5);
  EXPECT_EQ(isa_for("", Bf16Products::by_speed),
            isa_for("", bf16_dot_pays() ? Bf16Products::dot : Bf16Products::widen));
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
