#include "kernels/binary_cross_entropy.h"

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

struct LossResult {
  std::vector<float> loss, dlogits;
  bool operator==(const LossResult&) const = default;
};

LossResult run(Queue& queue, int64_t rows, int64_t classes, const std::vector<float>& logits,
               const BinaryTargets& targets, const std::vector<float>& dloss) {
  LossResult r{std::vector<float>(static_cast<size_t>(rows)), std::vector<float>(logits.size())};
  binary_cross_entropy(queue, {.rows = rows,
                               .classes = classes,
                               .logits = logits.data(),
                               .targets = targets,
                               .loss = r.loss.data()});
  binary_cross_entropy_backward(queue, {.rows = rows,
                                        .classes = classes,
                                        .logits = logits.data(),
                                        .targets = targets,
                                        .dloss = dloss.data(),
                                        .scale = 0.5f,
                                        .dlogits = r.dlogits.data()});
  return r;
}

void expect_close(const LossResult& result, const std::vector<float>& logits,
                  const std::vector<double>& targets, const std::vector<float>& dloss,
                  int64_t classes) {
  const auto exact = to_double(logits);
  const double tolerance = sum_tolerance(classes) + 8 * kEpsilon;
  EXPECT_LT(
      max_relative_error(result.loss, reference::binary_cross_entropy(exact, targets, classes)),
      tolerance);
  if (classes > 200) return;
  auto want = numeric_gradient(
      [&](const std::vector<double>& at) {
        return dot(reference::binary_cross_entropy(at, targets, classes), dloss);
      },
      exact);
  for (double& value : want) value *= 0.5;
  EXPECT_LT(max_relative_error(result.dlogits, want), tolerance + 1e-6);
}

TEST(BinaryCrossEntropy, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t classes : {1, 2, 7, 8, 15, 17, 63, 65, 193, 1000})
      for (const float smoothing : {0.0f, 0.1f}) {
        SCOPED_TRACE("classes " + std::to_string(classes));
        const int64_t rows = 3;
        const auto logits = random_floats(rows * classes, 3, -9, 9);
        const auto dloss = random_floats(rows, 4);
        const std::vector<int64_t> labels{0, classes / 2, classes - 1};
        const CrossEntropyTargets hard{.labels = labels.data(), .label_smoothing = smoothing};
        const auto exact = reference::smoothed_labels(labels, classes, smoothing);
        expect_close(run(queue, rows, classes, logits, {.targets = hard}, dloss), logits, exact,
                     dloss, classes);
        const auto soft = random_floats(rows * classes, 5, 0, 1);
        const CrossEntropyTargets mixed{.soft = soft.data(), .label_smoothing = smoothing};
        const auto smooth = reference::smoothed(to_double(soft), classes, smoothing);
        expect_close(run(queue, rows, classes, logits, {.targets = mixed}, dloss), logits, smooth,
                     dloss, classes);
        auto binary = smooth;
        for (double& value : binary) value = value > 0.4 ? 1 : 0;
        expect_close(run(queue, rows, classes, logits,
                         {.targets = mixed, .binarize = true, .threshold = 0.4f}, dloss),
                     logits, binary, dloss, classes);
      }
  });
}

TEST(BinaryCrossEntropy, ConfidentAnswersKeepTheirSmallLoss) {
  Queue queue(1);
  const std::vector<float> logits{30, -30, 100, -100}, dloss{1};
  const std::vector<float> targets{1, 0, 1, 0};
  const LossResult result = run(queue, 1, 4, logits, {.targets = {.soft = targets.data()}}, dloss);
  EXPECT_NEAR(result.loss[0], 2 * std::exp(-30.0), 1e-18);
}

TEST(BinaryCrossEntropy, DoesNotDependOnThreads) {
  const auto logits = random_floats(300 * 101, 6), dloss = random_floats(300, 7);
  const auto soft = random_floats(300 * 101, 8, 0, 1);
  expect_same_on_any_threads([&](Queue& queue) {
    return run(queue, 300, 101, logits, {.targets = {.soft = soft.data()}}, dloss);
  });
}

}  // namespace
}  // namespace vitrail::kernels
