#include "kernels/layer_norm.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/reference/layer_norm.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::dot;
using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::max_relative_error;
using testing::numeric_gradient;
using testing::random_floats;
using testing::sum_tolerance;
using testing::to_double;

struct LayerNormCase {
  NormKind kind = NormKind::layer;
  int64_t rows = 3, dim = 8;
  bool gamma = true, beta = true;
  int64_t stride = 0;  // 0: dim
  double offset = 0;   // of the mean: what a one-pass variance would lose
};

struct LayerNormData {
  explicit LayerNormData(const LayerNormCase& c)
      : stride(c.stride == 0 ? c.dim : c.stride),
        x(random_floats(c.rows * stride, 1, c.offset - 2, c.offset + 2)),
        dy(random_floats(c.rows * stride, 2)),
        gamma(random_floats(c.dim, 3)),
        beta(random_floats(c.dim, 4)) {}
  int64_t stride;
  std::vector<float> x, dy, gamma, beta;
};

struct LayerNormResult {
  std::vector<float> y, mean, rstd, dx, dgamma, dbeta;
  bool operator==(const LayerNormResult&) const = default;
};

LayerNormResult run(Queue& queue, const LayerNormCase& c, const LayerNormData& data) {
  LayerNormResult r;
  r.y.assign(data.x.size(), 0);
  r.dx.assign(data.x.size(), 0);
  r.mean.assign(c.rows, 0);
  r.rstd.assign(c.rows, 0);
  r.dgamma.assign(c.dim, 1);  // += onto ones
  r.dbeta.assign(c.dim, 1);
  const float* gamma = c.gamma ? data.gamma.data() : nullptr;
  layer_norm(queue, {.kind = c.kind,
                     .rows = c.rows,
                     .dim = c.dim,
                     .epsilon = 1e-5f,
                     .x = data.x.data(),
                     .x_stride = data.stride,
                     .gamma = gamma,
                     .beta = c.beta ? data.beta.data() : nullptr,
                     .y = r.y.data(),
                     .y_stride = data.stride,
                     .mean = r.mean.data(),
                     .rstd = r.rstd.data()});
  layer_norm_backward(queue, {.kind = c.kind,
                              .rows = c.rows,
                              .dim = c.dim,
                              .x = data.x.data(),
                              .x_stride = data.stride,
                              .dy = data.dy.data(),
                              .dy_stride = data.stride,
                              .gamma = gamma,
                              .mean = r.mean.data(),
                              .rstd = r.rstd.data(),
                              .dx = r.dx.data(),
                              .dx_stride = data.stride,
                              .dgamma = r.dgamma.data(),
                              .dbeta = r.dbeta.data()});
  return r;
}

std::vector<float> without_gaps(const std::vector<float>& rows, int64_t stride, int64_t dim) {
  std::vector<float> dense;
  for (size_t at = 0; at < rows.size(); at += static_cast<size_t>(stride))
    dense.insert(dense.end(), rows.begin() + at, rows.begin() + at + dim);
  return dense;
}

void check_layer_norm(Queue& queue, const LayerNormCase& c) {
  SCOPED_TRACE("rows " + std::to_string(c.rows) + ", dim " + std::to_string(c.dim));
  const LayerNormData data(c);
  const LayerNormResult result = run(queue, c, data);
  const auto dense = [&](const std::vector<float>& rows) {
    return without_gaps(rows, data.stride, c.dim);
  };
  reference::LayerNormInput input{
      .kind = c.kind, .dim = c.dim, .epsilon = 1e-5f, .x = {}, .gamma = {}, .beta = {}};
  input.x = to_double(dense(data.x));
  if (c.gamma) input.gamma = to_double(data.gamma);
  if (c.beta) input.beta = to_double(data.beta);
  // x - mean carries the rounding of x itself, |offset| eps, which dividing by a spread of order
  // one leaves.
  const double tolerance = sum_tolerance(c.dim) * (1 + std::abs(c.offset));
  EXPECT_LT(max_relative_error(dense(result.y), reference::layer_norm(input)), tolerance);
  if (c.rows * c.dim > 800) return;  // central differences cost the square

  const std::vector<float> dy = dense(data.dy);
  const auto loss_with = [&](std::vector<double> reference::LayerNormInput::*field) {
    return [&, field](const std::vector<double>& at) {
      reference::LayerNormInput moved = input;
      moved.*field = at;
      return dot(reference::layer_norm(moved), dy);
    };
  };
  // Over one or two values the gradient cancels to nearly nothing: the error is that of the terms.
  const auto want_dx = numeric_gradient(loss_with(&reference::LayerNormInput::x), input.x);
  const auto dx = dense(result.dx);
  const double scale = *std::ranges::max_element(result.rstd);
  for (size_t i = 0; i < dx.size(); ++i)
    ASSERT_NEAR(dx[i], want_dx[i], (4 * tolerance + 1e-6) * scale) << "element " << i;
  if (c.gamma) {
    auto want = numeric_gradient(loss_with(&reference::LayerNormInput::gamma), input.gamma);
    for (double& value : want) value += 1;
    EXPECT_LT(max_relative_error(result.dgamma, want), 4 * tolerance + 1e-7);
  }
  if (c.beta) {
    auto want = numeric_gradient(loss_with(&reference::LayerNormInput::beta), input.beta);
    for (double& value : want) value += 1;
    EXPECT_LT(max_relative_error(result.dbeta, want), 4 * tolerance + 1e-7);
  }
}

TEST(LayerNorm, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const NormKind kind : {NormKind::layer, NormKind::root_mean_square})
      for (const int64_t dim : {1, 2, 7, 8, 15, 17, 63, 65, 193, 768})
        for (const int64_t rows : {1, 3})
          check_layer_norm(queue, {.kind = kind, .rows = rows, .dim = dim});
    check_layer_norm(queue, {.rows = 40, .dim = 17});
    check_layer_norm(queue, {.rows = 3, .dim = 33, .gamma = false});
    check_layer_norm(queue, {.rows = 3, .dim = 33, .beta = false});
    check_layer_norm(queue, {.rows = 3, .dim = 33, .gamma = false, .beta = false});
    check_layer_norm(queue, {.rows = 4, .dim = 33, .stride = 50});
    check_layer_norm(queue, {.rows = 4, .dim = 65, .offset = 100});
  });
}

TEST(LayerNorm, DoesNotDependOnThreads) {
  const LayerNormCase c{.rows = 501, .dim = 193};
  const LayerNormData data(c);
  expect_same_on_any_threads([&](Queue& queue) { return run(queue, c, data); });
}

TEST(LayerNorm, BackwardWritesInPlaceAndSkipsWhatIsNotWanted) {
  Queue queue(1);
  const LayerNormCase c{.rows = 5, .dim = 37};
  const LayerNormData data(c);
  const LayerNormResult expected = run(queue, c, data);
  std::vector<float> gradient = data.dy;
  layer_norm_backward(queue, {.rows = c.rows,
                              .dim = c.dim,
                              .x = data.x.data(),
                              .x_stride = c.dim,
                              .dy = gradient.data(),
                              .dy_stride = c.dim,
                              .gamma = data.gamma.data(),
                              .mean = expected.mean.data(),
                              .rstd = expected.rstd.data(),
                              .dx = gradient.data(),
                              .dx_stride = c.dim});
  EXPECT_EQ(gradient, expected.dx);
}

TEST(LayerNorm, AccumulatesIntoTheGradientOfTheResidual) {
  for_each_isa([](Queue& queue) {
    const LayerNormCase c{.rows = 5, .dim = 67};
    const LayerNormData data(c);
    const LayerNormResult alone = run(queue, c, data);
    std::vector<float> dx = data.dy;  // what the residual handed over
    layer_norm_backward(queue, {.rows = c.rows,
                                .dim = c.dim,
                                .x = data.x.data(),
                                .x_stride = c.dim,
                                .dy = data.dy.data(),
                                .dy_stride = c.dim,
                                .gamma = data.gamma.data(),
                                .mean = alone.mean.data(),
                                .rstd = alone.rstd.data(),
                                .dx = dx.data(),
                                .dx_stride = c.dim,
                                .accumulate_dx = true});
    for (size_t i = 0; i < dx.size(); ++i) EXPECT_EQ(dx[i], data.dy[i] + alone.dx[i]);
  });
}

}  // namespace
}  // namespace vitrail::kernels
