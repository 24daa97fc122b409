#include "kernels/softmax.h"

#include <gtest/gtest.h>

#include "kernels/reference/softmax.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::dot;
using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::kEpsilon;
using testing::max_relative_error;
using testing::numeric_gradient;
using testing::random_floats;
using testing::sum_tolerance;
using testing::to_double;

constexpr int64_t kClasses[] = {1, 2, 7, 8, 15, 17, 63, 65, 193, 1000};

TEST(Softmax, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t classes : kClasses) {
      SCOPED_TRACE("classes " + std::to_string(classes));
      const int64_t rows = 3;
      const auto x = random_floats(rows * classes, 1, -10, 10), dy = random_floats(x.size(), 2);
      std::vector<float> y(x.size()), dx(x.size());
      softmax(queue, {.rows = rows, .classes = classes, .x = x.data(), .y = y.data()});
      const auto exact = to_double(x);
      // x - max rounds once at |x| <= 20, which exp turns into a relative error.
      const double tolerance = sum_tolerance(classes) + 20 * kEpsilon;
      EXPECT_LT(max_relative_error(y, reference::softmax(exact, classes)), tolerance);

      softmax_backward(
          queue,
          {.rows = rows, .classes = classes, .y = y.data(), .dy = dy.data(), .dx = dx.data()});
      if (classes == 1 || classes > 200) continue;  // exactly zero; too many differences
      const auto want = numeric_gradient(
          [&](const std::vector<double>& at) { return dot(reference::softmax(at, classes), dy); },
          exact);
      EXPECT_LT(max_relative_error(dx, want), 10 * tolerance + 1e-6);
    }
  });
}

TEST(Softmax, BearsLargeAndMaskedScores) {
  for_each_isa([](Queue& queue) {
    std::vector<float> x(17, -std::numeric_limits<float>::infinity());
    x[3] = 1e30f;
    x[16] = 1e30f;
    softmax(queue, {.rows = 1, .classes = 17, .x = x.data(), .y = x.data()});
    for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i], i == 3 || i == 16 ? 0.5f : 0.0f);
  });
}

TEST(Softmax, ANaNTakesItsRowAlong) {
  for_each_isa([](Queue& queue) {
    for (const int64_t classes : {3, 17, 40}) {
      std::vector<float> x(3 * classes, 1.0f);
      x[2 * classes - 2] = std::numeric_limits<float>::quiet_NaN();
      softmax(queue, {.rows = 3, .classes = classes, .x = x.data(), .y = x.data()});
      for (int64_t i = 0; i < 3 * classes; ++i) EXPECT_EQ(std::isnan(x[i]), i / classes == 1) << i;
    }
  });
}

struct Loss {
  std::vector<float> loss, probabilities, dlogits;
  bool operator==(const Loss&) const = default;
};

Loss run(Queue& queue, int64_t rows, int64_t classes, const std::vector<float>& logits,
         const CrossEntropyTargets& targets, const std::vector<float>& dloss) {
  Loss r{std::vector<float>(rows), std::vector<float>(logits.size()),
         std::vector<float>(logits.size())};
  softmax_cross_entropy(queue, {.rows = rows,
                                .classes = classes,
                                .logits = logits.data(),
                                .targets = targets,
                                .loss = r.loss.data(),
                                .probabilities = r.probabilities.data()});
  std::vector<float> again(r.loss.size());
  softmax_cross_entropy(queue, {.rows = rows,
                                .classes = classes,
                                .logits = logits.data(),
                                .targets = targets,
                                .loss = again.data()});
  EXPECT_LT(max_relative_error(again, r.loss), 4 * sum_tolerance(classes));
  softmax_cross_entropy_backward(queue, {.rows = rows,
                                         .classes = classes,
                                         .probabilities = r.probabilities.data(),
                                         .targets = targets,
                                         .dloss = dloss.data(),
                                         .scale = 0.5f,
                                         .dlogits = r.dlogits.data()});
  return r;
}

void check(const Loss& result, const std::vector<float>& logits, const std::vector<double>& targets,
           const std::vector<float>& dloss, int64_t classes) {
  const auto exact = to_double(logits);
  const double tolerance = 4 * sum_tolerance(classes);
  EXPECT_LT(max_relative_error(result.loss, reference::cross_entropy(exact, targets, classes)),
            tolerance);
  if (classes == 1 || classes > 200) return;
  auto want = numeric_gradient(
      [&](const std::vector<double>& at) {
        return dot(reference::cross_entropy(at, targets, classes), dloss);
      },
      exact);
  for (double& value : want) value *= 0.5;
  EXPECT_LT(max_relative_error(result.dlogits, want), tolerance + 1e-6);
}

TEST(CrossEntropy, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t classes : kClasses)
      for (const float smoothing : {0.0f, 0.1f, 1.0f}) {
        SCOPED_TRACE("classes " + std::to_string(classes) + ", smoothing " +
                     std::to_string(smoothing));
        const int64_t rows = 3;
        const auto logits = random_floats(rows * classes, 3, -4, 4);
        const auto dloss = random_floats(rows, 4);
        const std::vector<int64_t> labels{0, classes / 2, classes - 1};
        check(run(queue, rows, classes, logits,
                  {.labels = labels.data(), .label_smoothing = smoothing}, dloss),
              logits, reference::smoothed_labels(labels, classes, smoothing), dloss, classes);
        const auto soft = random_floats(rows * classes, 5, 0, 2);  // need not sum to one
        check(run(queue, rows, classes, logits, {.soft = soft.data(), .label_smoothing = smoothing},
                  dloss),
              logits, reference::smoothed(to_double(soft), classes, smoothing), dloss, classes);
      }
  });
}

TEST(CrossEntropy, DoesNotDependOnThreads) {
  const auto logits = random_floats(300 * 101, 6), dloss = random_floats(300, 7);
  std::vector<int64_t> labels(300);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int64_t>(i * 7 % 101);
  expect_same_on_any_threads([&](Queue& queue) {
    return run(queue, 300, 101, logits, {.labels = labels.data(), .label_smoothing = 0.1f}, dloss);
  });
}

}  // namespace
}  // namespace vitrail::kernels
