#include "kernels/adamw.h"

#include <gtest/gtest.h>

#include "golden.h"
#include "kernels/reference/adamw.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::golden_input;
using testing::GoldenLine;
using testing::kEpsilon;
using testing::max_relative_error;
using testing::random_floats;
using testing::read_golden;
using testing::to_double;

struct State {
  explicit State(std::vector<float> start)
      : parameter(std::move(start)), first(parameter.size()), second(parameter.size()) {}
  std::vector<float> parameter, first, second;
  bool operator==(const State&) const = default;

  void step(Queue& queue, AdamWArgs args, const std::vector<float>& gradient) {
    args.count = static_cast<int64_t>(gradient.size());
    args.parameter = parameter.data();
    args.gradient = gradient.data();
    args.first_moment = first.data();
    args.second_moment = second.data();
    adamw(queue, args);
  }
};

TEST(AdamW, EqualsTorch) {
  for_each_isa([](Queue& queue) {
    std::vector<GoldenLine> lines = read_golden("adamw.txt");
    ASSERT_EQ(lines.size(), 9u);
    for (GoldenLine& line : lines) {
      SCOPED_TRACE(line.fields.str());
      AdamWArgs args;
      int64_t steps = 0;
      line.fields >> args.learning_rate >> args.beta1 >> args.beta2 >> args.epsilon >>
          args.weight_decay >> args.gradient_scale >> steps;
      ASSERT_FALSE(line.fields.fail());
      State state(golden_input(19));
      for (args.step = 1; args.step <= steps; ++args.step)
        state.step(queue, args, golden_input(19, 19 * args.step));
      // A gradient near zero may leave a step that rounding decides: sqrt(v) against epsilon.
      EXPECT_LT(max_relative_error(state.parameter, line.values), 1e-6);
    }
  });
}

TEST(AdamW, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t count : {1, 2, 7, 8, 15, 17, 63, 65, 193, 20001}) {
      State state(random_floats(count, 1));
      reference::AdamWState exact{to_double(state.parameter),
                                  std::vector<double>(state.parameter.size()),
                                  std::vector<double>(state.parameter.size())};
      AdamWArgs args{.learning_rate = 1e-2, .weight_decay = 0.1, .gradient_scale = 0.5f};
      for (args.step = 1; args.step <= 5; ++args.step) {
        const auto gradient = random_floats(count, 10 + static_cast<uint64_t>(args.step));
        state.step(queue, args, gradient);
        reference::adamw(exact, to_double(gradient), args);
      }
      EXPECT_LT(max_relative_error(state.parameter, exact.parameter), 16 * kEpsilon);
      EXPECT_LT(max_relative_error(state.first, exact.first_moment), 16 * kEpsilon);
      EXPECT_LT(max_relative_error(state.second, exact.second_moment), 64 * kEpsilon);
    }
  });
}

TEST(AdamW, DoesNotDependOnThreads) {
  const auto start = random_floats(50001, 3), gradient = random_floats(50001, 4);
  expect_same_on_any_threads([&](Queue& queue) {
    State state(start);
    state.step(queue, {}, gradient);
    return state;
  });
}

TEST(AdamW, OneSweepOverManyIsEachByItself) {
  Queue queue(2);
  const int64_t counts[] = {1, 20001, 8192, 7};
  std::vector<State> swept, alone;
  std::vector<std::vector<float>> gradients;
  for (const int64_t count : counts) {
    swept.emplace_back(random_floats(count, 5));
    alone.emplace_back(random_floats(count, 5));
    gradients.push_back(random_floats(count, 6));
  }
  std::vector<AdamWArgs> sweep;
  for (size_t i = 0; i < swept.size(); ++i) {
    const double decay = 0.1 * static_cast<double>(i);
    alone[i].step(queue, {.weight_decay = decay}, gradients[i]);
    sweep.push_back({.count = counts[i],
                     .parameter = swept[i].parameter.data(),
                     .gradient = gradients[i].data(),
                     .first_moment = swept[i].first.data(),
                     .second_moment = swept[i].second.data(),
                     .weight_decay = decay});
  }
  adamw(queue, sweep);
  EXPECT_TRUE(swept == alone);
}

}  // namespace
}  // namespace vitrail::kernels
