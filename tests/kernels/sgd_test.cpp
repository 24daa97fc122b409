#include "kernels/sgd.h"

#include <gtest/gtest.h>

#include <array>

#include "kernels/lerp.h"
#include "kernels/reference/optimizers.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::kEpsilon;
using testing::max_relative_error;
using testing::random_floats;
using testing::to_double;

constexpr int64_t kSgdCounts[] = {1, 2, 7, 8, 15, 17, 63, 65, 193, 20001};

void step(Queue& queue, SgdArgs args, std::vector<float>& parameter, std::vector<float>& buffer,
          const std::vector<float>& gradient) {
  args.count = static_cast<int64_t>(gradient.size());
  args.parameter = parameter.data();
  args.gradient = gradient.data();
  args.momentum_buffer = buffer.data();
  sgd(queue, std::span(&args, 1));
}

TEST(Sgd, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t count : kSgdCounts)
      for (const auto& [momentum, nesterov] :
           {std::pair{0.0, false}, std::pair{0.9, false}, std::pair{0.7, true}}) {
        SCOPED_TRACE("count " + std::to_string(count));
        std::vector<float> parameter = random_floats(count, 1), buffer(parameter.size());
        reference::SgdState exact{to_double(parameter), std::vector<double>(buffer.size())};
        const SgdArgs args{.learning_rate = 0.05,
                           .momentum = momentum,
                           .nesterov = nesterov,
                           .weight_decay = 0.1,
                           .gradient_scale = 0.5f};
        for (uint64_t i = 0; i < 5; ++i) {
          const auto gradient = random_floats(count, 10 + i);
          step(queue, args, parameter, buffer, gradient);
          reference::sgd(exact, to_double(gradient), args);
        }
        EXPECT_LT(max_relative_error(parameter, exact.parameter), 16 * kEpsilon);
        if (momentum > 0) {
          EXPECT_LT(max_relative_error(buffer, exact.momentum_buffer), 16 * kEpsilon);
        }
      }
  });
}

TEST(Sgd, DoesNotDependOnThreads) {
  const auto start = random_floats(50001, 3), gradient = random_floats(50001, 4);
  expect_same_on_any_threads([&](Queue& queue) {
    std::vector<float> parameter = start, buffer(start.size(), 0.25f);
    step(queue, {.momentum = 0.9, .nesterov = true}, parameter, buffer, gradient);
    return std::pair(parameter, buffer);
  });
}

TEST(Lerp, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t count : kSgdCounts)
      for (const double weight : {0.0, 1e-4, 0.3, 0.5, 0.9, 1.0}) {
        SCOPED_TRACE("count " + std::to_string(count) + ", weight " + std::to_string(weight));
        const auto start = random_floats(count, 1), target = random_floats(count, 2);
        std::vector<float> x = start, out(start.size());
        std::vector<float> halved = target;
        for (float& value : halved) value *= 0.5f;
        lerp(queue, std::array{LerpArgs{
                        .count = count, .x = x.data(), .y = target.data(), .weight = weight}});
        EXPECT_LT(
            max_relative_error(x, reference::lerp(to_double(start), to_double(target), weight)),
            4 * kEpsilon);
        if (weight == 0 || weight == 1) {
          EXPECT_EQ(x, weight == 0 ? start : target);
        }
        x = start;
        lerp(queue, std::array{LerpArgs{.count = count,
                                        .x = x.data(),
                                        .y = target.data(),
                                        .weight = weight,
                                        .y_scale = 0.5f,
                                        .out = out.data()}});
        EXPECT_EQ(x, start);
        EXPECT_LT(
            max_relative_error(out, reference::lerp(to_double(start), to_double(halved), weight)),
            4 * kEpsilon);
      }
  });
}

TEST(Lerp, SweepsOverSeveralArrays) {
  Queue queue(2);
  std::vector<float> a(20001, 1.0f), b(7, 3.0f);
  const std::vector<float> to_a(20001, 2.0f), to_b(7, 7.0f);
  lerp(queue, std::array{LerpArgs{.count = 20001, .x = a.data(), .y = to_a.data(), .weight = 0.25},
                         LerpArgs{.count = 7, .x = b.data(), .y = to_b.data(), .weight = 0.25}});
  EXPECT_EQ(a, std::vector<float>(20001, 1.25f));
  EXPECT_EQ(b, std::vector<float>(7, 4.0f));
}

}  // namespace
}  // namespace vitrail::kernels
