#include "kernels/depthwise_convolution.h"

#include <gtest/gtest.h>

#include "kernels/reference/depthwise_convolution.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::max_relative_error;
using testing::random_floats;
using testing::sum_tolerance;
using testing::to_double;

DepthwiseGeometry centred(int64_t channels, int64_t height, int64_t kernel, int64_t stride,
                          int64_t dilation = 1) {
  return {.batch = 2,
          .channels = channels,
          .height = height,
          .width = height + 3,
          .kernel_height = kernel,
          .kernel_width = kernel,
          .stride_height = stride,
          .stride_width = stride,
          .padding_height = dilation * (kernel / 2),
          .padding_width = dilation * (kernel / 2),
          .dilation_height = dilation,
          .dilation_width = dilation};
}

const DepthwiseGeometry kDepthwiseCases[] = {
    centred(1, 1, 3, 1),  // a picture smaller than the kernel
    centred(3, 5, 3, 1),
    centred(17, 9, 3, 1),
    centred(33, 8, 3, 2),
    centred(8, 11, 5, 1),
    centred(16, 10, 7, 1),
    centred(5, 12, 3, 1, 2),
    centred(4, 9, 3, 2, 3),
    centred(7, 6, 1, 1),
    {.batch = 3,
     .channels = 6,
     .height = 9,
     .width = 7,
     .kernel_height = 2,
     .kernel_width = 5,
     .stride_height = 3,
     .stride_width = 2,
     .padding_height = 0,
     .padding_width = 4},  // windows that lie in the padding almost entirely
    {.batch = 1,
     .channels = 2,
     .height = 4,
     .width = 4,
     .kernel_height = 2,
     .kernel_width = 2,
     .padding_height = 3,
     .padding_width = 3},  // and entirely: the adjoint is no convolution
};

struct DepthwiseResult {
  std::vector<float> y, dx, dw, db;
  bool operator==(const DepthwiseResult&) const = default;
};

struct DepthwiseData {
  explicit DepthwiseData(const DepthwiseGeometry& g)
      : x(random_floats(g.batch * g.height * g.width * g.channels, 1)),
        weight(random_floats(g.taps() * g.channels, 2)),
        bias(random_floats(g.channels, 3)),
        dy(random_floats(g.batch * g.out_height() * g.out_width() * g.channels, 4)) {}
  std::vector<float> x, weight, bias, dy;
};

// Each result has one more element than is asked for, which must stay as it is.
DepthwiseResult run_depthwise(Queue& queue, const DepthwiseGeometry& g, const DepthwiseData& data) {
  const auto room = [](const std::vector<float>& like) {
    return std::vector<float>(like.size() + 1, 77.0f);
  };
  DepthwiseResult r{room(data.dy), room(data.x), room(data.weight), room(data.bias)};
  depthwise_convolution(queue, {.geometry = g,
                                .x = data.x.data(),
                                .weight = data.weight.data(),
                                .bias = data.bias.data(),
                                .y = r.y.data()});
  depthwise_input_gradient(
      queue,
      {.geometry = g, .dy = data.dy.data(), .weight = data.weight.data(), .dx = r.dx.data()});
  depthwise_weight_gradient(queue, {.geometry = g,
                                    .x = data.x.data(),
                                    .dy = data.dy.data(),
                                    .dweight = r.dw.data(),
                                    .dbias = r.db.data()});
  for (auto* values : {&r.y, &r.dx, &r.dw, &r.db}) {
    EXPECT_EQ(values->back(), 77.0f);
    values->pop_back();
  }
  return r;
}

TEST(DepthwiseConvolution, MatchesTheOracleOnEveryTarget) {
  testing::for_each_isa([](Queue& queue) {
    for (const DepthwiseGeometry& g : kDepthwiseCases) {
      SCOPED_TRACE("channels " + std::to_string(g.channels) + ", kernel " +
                   std::to_string(g.kernel_height) + "x" + std::to_string(g.kernel_width) +
                   ", stride " + std::to_string(g.stride_height));
      const DepthwiseData data(g);
      const DepthwiseResult r = run_depthwise(queue, g, data);
      const auto x = to_double(data.x), weight = to_double(data.weight), dy = to_double(data.dy);
      EXPECT_LT(max_relative_error(
                    r.y, reference::depthwise_convolution(g, x, weight, to_double(data.bias))),
                sum_tolerance(g.taps() + 1));
      const auto want = reference::depthwise_gradients(g, x, weight, dy);
      const int64_t pixels = g.batch * g.out_height() * g.out_width();
      EXPECT_LT(max_relative_error(r.dx, want.x), sum_tolerance(g.taps()));
      EXPECT_LT(max_relative_error(r.dw, want.weight), sum_tolerance(pixels));
      EXPECT_LT(max_relative_error(r.db, want.bias), sum_tolerance(pixels));
    }
  });
}

TEST(DepthwiseConvolution, GivesWhatIsWantedAlone) {
  Queue queue(2);
  const DepthwiseGeometry g = centred(9, 7, 3, 1);
  const DepthwiseData data(g);
  const DepthwiseResult both = run_depthwise(queue, g, data);
  std::vector<float> dw(both.dw.size()), db(both.db.size()), y(both.y.size());
  depthwise_weight_gradient(
      queue, {.geometry = g, .x = data.x.data(), .dy = data.dy.data(), .dweight = dw.data()});
  depthwise_weight_gradient(queue, {.geometry = g, .dy = data.dy.data(), .dbias = db.data()});
  EXPECT_EQ(dw, both.dw);
  EXPECT_EQ(db, both.db);
  depthwise_convolution(
      queue, {.geometry = g, .x = data.x.data(), .weight = data.weight.data(), .y = y.data()});
  EXPECT_LT(max_relative_error(y, reference::depthwise_convolution(g, to_double(data.x),
                                                                   to_double(data.weight), {})),
            sum_tolerance(9));
}

TEST(DepthwiseConvolution, SameBitsOnAnyThreadsAndInAnyBatch) {
  for (const int64_t stride : {1, 2}) {
    DepthwiseGeometry g = centred(40, 28, 3, stride);
    const DepthwiseData data(g);
    testing::expect_same_on_any_threads(
        [&](Queue& queue) { return run_depthwise(queue, g, data); });
    Queue queue(2);
    const DepthwiseResult two = run_depthwise(queue, g, data);
    g.batch = 1;
    std::vector<float> y(two.y.size() / 2);
    depthwise_convolution(queue, {.geometry = g,
                                  .x = data.x.data(),
                                  .weight = data.weight.data(),
                                  .bias = data.bias.data(),
                                  .y = y.data()});
    EXPECT_TRUE(std::equal(y.begin(), y.end(), two.y.begin()));
  }
}

}  // namespace
}  // namespace vitrail::kernels
