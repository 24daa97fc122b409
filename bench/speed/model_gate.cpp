// The regression gate: what share of the machine's multiply-add rate a model reaches, against a
// floor recorded for the instruction set.
//
// Seconds differ from machine to machine and from minute to minute; a share of a peak measured
// milliseconds before and after does so much less. A round that fails may be a neighbour's work, so
// a case passes when any of several rounds does.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include "infer/session.h"
#include "kernels/isa.h"
#include "kernels/peak.h"

namespace vitrail {
namespace {

using Clock = std::chrono::steady_clock;

struct Case {
  const char* name;
  const char* model;
  Precision precision;
};

const Case kCases[] = {
    {"vit_tiny_f32", "vit_tiny_patch16_224", Precision::f32},
    {"vit_tiny_bf16", "vit_tiny_patch16_224", Precision::bf16},
    {"vit_tiny_int8", "vit_tiny_patch16_224", Precision::int8},
    {"vit_base_f32", "vit_base_patch16_224", Precision::f32},
    {"vit_base_bf16", "vit_base_patch16_224", Precision::bf16},
    {"vit_base_int8", "vit_base_patch16_224", Precision::int8},
};

// Batch 1, two threads. Half to three quarters of what 2 cores of Zen 4, and of Zen 3 for AVX2,
// reach when they are left alone: a neighbour that shares the caches takes a third for minutes.
// Raise them with the shares.
using Floors = std::map<std::string, double>;
const std::map<std::string, Floors> kFloors = {
    {"avx512_bf16",
     {{"vit_tiny_f32", 0.50},
      {"vit_tiny_bf16", 0.40},
      {"vit_tiny_int8", 0.28},
      {"vit_base_f32", 0.65},
      {"vit_base_bf16", 0.55},
      {"vit_base_int8", 0.45}}},
    {"avx2",
     {{"vit_tiny_f32", 0.50},
      {"vit_tiny_bf16", 0.45},
      {"vit_tiny_int8", 0.30},
      {"vit_base_f32", 0.55},
      {"vit_base_bf16", 0.45},
      {"vit_base_int8", 0.32}}},
};

#if !defined(NDEBUG)
constexpr bool kOptimised = false;
#else
constexpr bool kOptimised = true;
#endif

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The best pass of a fifth of a second, between two measurements of the peak.
double share_of_peak(Session& session, const Tensor& picture, int64_t multiply_adds,
                     Precision precision) {
  constexpr double kPeakSeconds = 0.03, kRunSeconds = 0.2;
  const auto peak = [&] {
    return kernels::peak_operations(session.queue(), precision, kPeakSeconds);
  };
  const double before = peak();
  double best = 1e9, total = 0;
  do {
    const double seconds = seconds_of([&] { session.run(picture); });
    best = std::min(best, seconds);
    total += seconds;
  } while (total < kRunSeconds);
  return 2.0 * static_cast<double>(multiply_adds) / best / std::max(before, peak());
}

class Gate : public ::testing::TestWithParam<Case> {};

TEST_P(Gate, KeepsItsShareOfThePeak) {
  if (!kOptimised) GTEST_SKIP() << "this build is not made for speed";
  const Case& test = GetParam();
  const std::string isa = kernels::active_isa();
  const auto floors = kFloors.find(isa);
  if (floors == kFloors.end() || !floors->second.contains(test.name))
    GTEST_SKIP() << "no floor was recorded for " << test.name << " on " << isa;
  const double floor = floors->second.at(test.name);

  constexpr int kThreads = 2;
  if (available_cores() < kThreads) GTEST_SKIP() << "the floors are those of two cores";
  Session session(random_model(test.model),
                  {.threads = kThreads, .precision = default_plan(test.precision)});
  const Network& network = *session.model().network;
  const PictureInput input = network.pictures();
  const Tensor picture = Tensor::full({1, input.channels, input.height, input.width}, 0.1f);
  const int64_t multiply_adds = network.cost(input.height, input.width).multiply_adds;
  session.run(picture);

  constexpr int kRounds = 10;
  double best = 0;
  for (int round = 0; round < kRounds && best < floor; ++round)
    best = std::max(best, share_of_peak(session, picture, multiply_adds, test.precision));
  RecordProperty("share_of_peak", std::to_string(best));
  std::cout << test.name << " on " << isa << ": " << 100 * best << "% of the peak, at least "
            << 100 * floor << "%\n";
  EXPECT_GE(best, floor);
}

INSTANTIATE_TEST_SUITE_P(Speed, Gate, ::testing::ValuesIn(kCases),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace vitrail
