#include "kernels/batch_norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/norm_gradients.h"
#include "kernels/reference/batch_norm.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using vitrail::testing::expect_same_on_any_threads;
using vitrail::testing::for_each_isa;
using vitrail::testing::max_relative_error;
using vitrail::testing::random_floats;
using vitrail::testing::sum_tolerance;
using vitrail::testing::to_double;

struct BatchNormCase {
  BatchNormSize size;
  bool residual = false, relu = false;
  bool of_batch = true;
  double offset = 0;  // of the mean: what a one-pass variance would lose
};

struct BatchNormData {
  explicit BatchNormData(const BatchNormCase& c)
      : count(c.size.rows * c.size.channels),
        x(random_floats(count, 1, c.offset - 2, c.offset + 2)),
        dy(random_floats(count, 2)),
        residual(random_floats(count, 3)),
        gamma(random_floats(c.size.channels, 4)),
        beta(random_floats(c.size.channels, 5)),
        mean(random_floats(c.size.channels, 6)),
        variance(random_floats(c.size.channels, 7, 0.5, 2)) {}
  int64_t count;
  std::vector<float> x, dy, residual, gamma, beta;
  std::vector<float> mean, variance;  // that training kept
};

struct BatchNormResult {
  std::vector<float> y, mean, variance, dx, dresidual, dgamma, dbeta;
  bool operator==(const BatchNormResult&) const = default;
};

BatchNormArgs forward_args(const BatchNormCase& c, const BatchNormData& data, BatchNormResult& r) {
  return {.size = c.size,
          .epsilon = 1e-5f,
          .x = data.x.data(),
          .mean = r.mean.data(),
          .variance = r.variance.data(),
          .gamma = data.gamma.data(),
          .beta = data.beta.data(),
          .residual = c.residual ? data.residual.data() : nullptr,
          .relu = c.relu,
          .y = r.y.data()};
}

BatchNormBackwardArgs backward_args(const BatchNormCase& c, const BatchNormData& data,
                                    BatchNormResult& r) {
  return {.size = c.size,
          .epsilon = 1e-5f,
          .of_batch = c.of_batch,
          .x = data.x.data(),
          .y = c.relu ? r.y.data() : nullptr,
          .dy = data.dy.data(),
          .gamma = data.gamma.data(),
          .mean = r.mean.data(),
          .variance = r.variance.data(),
          .dx = r.dx.data(),
          .dresidual = c.residual ? r.dresidual.data() : nullptr,
          .dgamma = r.dgamma.data(),
          .dbeta = r.dbeta.data()};
}

BatchNormResult run(Queue& queue, const BatchNormCase& c, const BatchNormData& data) {
  BatchNormResult r;
  r.y.assign(data.x.size(), 77);
  r.dx = r.dresidual = r.y;
  r.dgamma.assign(static_cast<size_t>(c.size.channels), operands::kNormGradientBegan);
  r.dbeta = r.dgamma;
  r.mean = data.mean;
  r.variance = data.variance;
  if (c.of_batch)
    batch_statistics(
        queue,
        {.size = c.size, .x = data.x.data(), .mean = r.mean.data(), .variance = r.variance.data()});
  batch_norm(queue, forward_args(c, data, r));
  batch_norm_backward(queue, backward_args(c, data, r));
  return r;
}

void check_batch_norm(Queue& queue, const BatchNormCase& c) {
  const auto& [rows, channels] = c.size;
  SCOPED_TRACE(::testing::Message()
               << rows << "x" << channels << (c.residual ? " + residual" : "")
               << (c.relu ? " relu" : "") << (c.of_batch ? "" : " constant statistics"));
  const BatchNormData data(c);
  const BatchNormResult result = run(queue, c, data);
  reference::BatchNormInput input{.size = c.size,
                                  .epsilon = 1e-5f,
                                  .x = to_double(data.x),
                                  .gamma = to_double(data.gamma),
                                  .beta = to_double(data.beta),
                                  .relu = c.relu};
  if (c.residual) input.residual = to_double(data.residual);
  const double tolerance = sum_tolerance(rows) * (1 + std::abs(c.offset));
  if (c.of_batch) {
    const reference::BatchStatistics expected = reference::batch_statistics(c.size, input.x);
    EXPECT_LT(max_relative_error(result.mean, expected.mean), sum_tolerance(rows));
    EXPECT_LT(max_relative_error(result.variance, expected.variance), tolerance);
  } else {
    input.mean = to_double(data.mean);
    input.variance = to_double(data.variance);
  }
  EXPECT_LT(max_relative_error(result.y, reference::batch_norm(input)), 2 * tolerance);
  if (data.count > 500) return;  // central differences cost the square

  const double rstd =
      1 / std::sqrt(*std::ranges::min_element(result.variance) + double{input.epsilon});
  operands::expect_norm_gradients(input, reference::batch_norm, data.dy, result, tolerance, rstd);
}

TEST(BatchNorm, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const int64_t channels : {1, 6, 8, 17, 33})
      for (const int64_t rows : {3, 5, 9}) check_batch_norm(queue, {.size = {rows, channels}});
    for (const bool of_batch : {false, true})
      for (const bool residual : {false, true})
        for (const bool relu : {false, true})
          check_batch_norm(
              queue, {.size = {12, 20}, .residual = residual, .relu = relu, .of_batch = of_batch});
    check_batch_norm(
        queue, {.size = {130, 3}, .residual = true, .relu = true});  // several runs, one short
    check_batch_norm(queue, {.size = {4096, 64}, .relu = true});
    check_batch_norm(queue, {.size = {129, 32}, .offset = 100});
  });
}

TEST(BatchNorm, DoesNotDependOnThreads) {
  for (const int64_t rows : {70, 1000}) {
    const BatchNormCase c{.size = {rows, 37}, .residual = true, .relu = true};
    const BatchNormData data(c);
    expect_same_on_any_threads([&](Queue& queue) { return run(queue, c, data); });
  }
}

TEST(BatchNorm, WritesInPlaceAndSkipsWhatIsNotWanted) {
  Queue queue(2);
  const BatchNormCase c{.size = {150, 20}, .residual = true, .relu = true};
  const BatchNormData data(c);
  const BatchNormResult expected = run(queue, c, data);
  BatchNormResult r = expected;
  r.y = data.x;
  BatchNormArgs forward = forward_args(c, data, r);
  forward.x = r.y.data();
  batch_norm(queue, forward);
  EXPECT_EQ(r.y, expected.y);
  BatchNormResult saved = expected;
  saved.dx = data.dy;
  BatchNormBackwardArgs backward = backward_args(c, data, saved);
  backward.dy = saved.dx.data();
  backward.dresidual = backward.dgamma = backward.dbeta = nullptr;
  batch_norm_backward(queue, backward);
  EXPECT_EQ(saved.dx, expected.dx);
  saved.dresidual = data.dy;
  backward = backward_args(c, data, saved);
  backward.dy = saved.dresidual.data();
  backward.dx = nullptr;
  batch_norm_backward(queue, backward);
  EXPECT_EQ(saved.dresidual, expected.dresidual);
}

TEST(BatchNorm, ReluKeepsNaN) {
  for_each_isa([](Queue& queue) {
    const BatchNormCase c{.size = {4, 5}, .relu = true};
    BatchNormData data(c);
    data.x[3] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> y = run(queue, c, data).y;
    for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i % 5 == 3) << i;
  });
}

}  // namespace
}  // namespace vitrail::kernels
