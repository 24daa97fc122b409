#include "kernels/group_norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "kernels/norm_gradients.h"
#include "kernels/reference/group_norm.h"
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

struct GroupNormCase {
  GroupNormSize size;
  bool residual = false, relu = false;
  double offset = 0;  // of the mean: what a one-pass variance would lose
};

struct GroupNormData {
  explicit GroupNormData(const GroupNormCase& c)
      : count(c.size.batch * c.size.pixels * c.size.channels),
        x(random_floats(count, 1, c.offset - 2, c.offset + 2)),
        dy(random_floats(count, 2)),
        residual(random_floats(count, 3)),
        gamma(random_floats(c.size.channels, 4)),
        beta(random_floats(c.size.channels, 5)) {}
  int64_t count;
  std::vector<float> x, dy, residual, gamma, beta;
};

struct GroupNormResult {
  std::vector<float> y, mean, rstd, dx, dresidual, dgamma, dbeta;
  bool operator==(const GroupNormResult&) const = default;
};

GroupNormArgs forward_args(const GroupNormCase& c, const GroupNormData& data, GroupNormResult& r) {
  r.mean.assign(static_cast<size_t>(c.size.batch * c.size.groups), 0);
  r.rstd = r.mean;
  return {.size = c.size,
          .epsilon = 1e-5f,
          .x = data.x.data(),
          .gamma = data.gamma.data(),
          .beta = data.beta.data(),
          .residual = c.residual ? data.residual.data() : nullptr,
          .relu = c.relu,
          .y = r.y.data(),
          .mean = r.mean.data(),
          .rstd = r.rstd.data()};
}

GroupNormBackwardArgs backward_args(const GroupNormCase& c, const GroupNormData& data,
                                    GroupNormResult& r) {
  return {.size = c.size,
          .x = data.x.data(),
          .y = c.relu ? r.y.data() : nullptr,
          .dy = data.dy.data(),
          .gamma = data.gamma.data(),
          .mean = r.mean.data(),
          .rstd = r.rstd.data(),
          .dx = r.dx.data(),
          .dresidual = c.residual ? r.dresidual.data() : nullptr,
          .dgamma = r.dgamma.data(),
          .dbeta = r.dbeta.data()};
}

GroupNormResult run(Queue& queue, const GroupNormCase& c, const GroupNormData& data) {
  GroupNormResult r;
  r.y.assign(data.x.size(), 77);
  r.dx = r.dresidual = r.y;
  r.dgamma.assign(static_cast<size_t>(c.size.channels), operands::kNormGradientBegan);
  r.dbeta = r.dgamma;
  group_norm(queue, forward_args(c, data, r));
  group_norm_backward(queue, backward_args(c, data, r));
  return r;
}

void check_group_norm(Queue& queue, const GroupNormCase& c) {
  const auto& [batch, pixels, channels, groups] = c.size;
  SCOPED_TRACE(::testing::Message()
               << batch << "x" << pixels << "x" << channels << " in " << groups
               << (c.residual ? " + residual" : "") << (c.relu ? " relu" : ""));
  const GroupNormData data(c);
  const GroupNormResult result = run(queue, c, data);
  reference::GroupNormInput input{.size = c.size,
                                  .epsilon = 1e-5f,
                                  .x = to_double(data.x),
                                  .gamma = to_double(data.gamma),
                                  .beta = to_double(data.beta),
                                  .relu = c.relu};
  if (c.residual) input.residual = to_double(data.residual);
  const int64_t length = c.size.pixels * c.size.channels / c.size.groups;
  const double tolerance = sum_tolerance(length) * (1 + std::abs(c.offset));
  EXPECT_LT(max_relative_error(result.y, reference::group_norm(input)), tolerance);
  if (data.count > 500) return;  // central differences cost the square

  const double rstd = *std::ranges::max_element(result.rstd);
  operands::expect_norm_gradients(input, reference::group_norm, data.dy, result, tolerance, rstd);
}

TEST(GroupNorm, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const auto& [channels, groups] :
         {std::pair<int64_t, int64_t>{1, 1}, {6, 3}, {8, 1}, {16, 4}, {17, 17}, {33, 3}, {48, 2}})
      for (const int64_t pixels : {1, 3, 4, 9})
        check_group_norm(queue, {.size = {2, pixels, channels, groups}});
    for (const bool residual : {false, true})
      for (const bool relu : {false, true})
        check_group_norm(queue, {.size = {2, 5, 20, 4}, .residual = residual, .relu = relu});
    check_group_norm(queue,
                     {.size = {9, 4, 12, 2}, .residual = true, .relu = true});  // whole pictures
    check_group_norm(queue, {.size = {1, 1024, 64, 32}, .relu = true});
    check_group_norm(queue, {.size = {2, 7, 32, 8}, .offset = 100});
  });
}

TEST(GroupNorm, DoesNotDependOnThreads) {
  for (const int64_t batch : {2, 9}) {
    const GroupNormCase c{.size = {batch, 37, 70, 10}, .residual = true, .relu = true};
    const GroupNormData data(c);
    expect_same_on_any_threads([&](Queue& queue) { return run(queue, c, data); });
  }
}

// What batch normalisation could not promise.
TEST(GroupNorm, APictureDoesNotDependOnItsBatch) {
  const GroupNormCase many{.size = {9, 21, 24, 4}, .relu = true};
  GroupNormCase alone = many;
  alone.size.batch = 1;
  const GroupNormData data(many);
  GroupNormData first(alone);
  std::copy_n(data.x.begin(), first.count, first.x.begin());
  first.gamma = data.gamma;
  first.beta = data.beta;
  Queue queue(2);
  const GroupNormResult together = run(queue, many, data), single = run(queue, alone, first);
  EXPECT_TRUE(std::equal(single.y.begin(), single.y.end(), together.y.begin()));
}

TEST(GroupNorm, WritesInPlaceAndSkipsWhatIsNotWanted) {
  Queue queue(2);
  const GroupNormCase c{.size = {3, 11, 20, 5}, .residual = true, .relu = true};
  const GroupNormData data(c);
  const GroupNormResult expected = run(queue, c, data);
  GroupNormResult r;
  r.y = data.x;
  GroupNormArgs forward = forward_args(c, data, r);
  forward.x = r.y.data();
  forward.mean = forward.rstd = nullptr;
  group_norm(queue, forward);
  EXPECT_EQ(r.y, expected.y);
  GroupNormResult saved = expected;
  saved.dx = data.dy;
  GroupNormBackwardArgs backward = backward_args(c, data, saved);
  backward.dy = saved.dx.data();
  backward.dresidual = backward.dgamma = backward.dbeta = nullptr;
  group_norm_backward(queue, backward);
  EXPECT_EQ(saved.dx, expected.dx);
  saved.dresidual = data.dy;
  backward = backward_args(c, data, saved);
  backward.dy = saved.dresidual.data();
  backward.dx = nullptr;
  group_norm_backward(queue, backward);
  EXPECT_EQ(saved.dresidual, expected.dresidual);
}

TEST(GroupNorm, ReluKeepsNaN) {
  for_each_isa([](Queue& queue) {
    const GroupNormCase c{.size = {1, 4, 5, 1}, .relu = true};
    GroupNormData data(c);
    data.x[3] = std::numeric_limits<float>::quiet_NaN();
    for (const float value : run(queue, c, data).y) EXPECT_TRUE(std::isnan(value));
  });
}

}  // namespace
}  // namespace vitrail::kernels
