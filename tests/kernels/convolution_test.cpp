#include "kernels/convolution.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/reference/convolution.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::max_relative_error;
using testing::random_floats;
using testing::sum_tolerance;
using testing::to_double;

struct ConvolutionCase {
  UnfoldGeometry geometry;
  int64_t outputs = 5;
  bool bias = true;
  bool bf16 = false;
};

UnfoldGeometry square(int64_t batch, int64_t channels, int64_t size, int64_t kernel,
                      int64_t stride) {
  return {.batch = batch,
          .channels = channels,
          .height = size,
          .width = size + 1,
          .kernel_height = kernel,
          .kernel_width = kernel,
          .stride_height = stride,
          .stride_width = stride,
          .padding_height = kernel / 2,
          .padding_width = kernel / 2};
}

const ConvolutionCase kConvolutions[] = {
    {.geometry = square(2, 3, 8, 3, 1)},
    {.geometry = square(2, 16, 7, 3, 2), .outputs = 33},
    {.geometry = square(3, 17, 6, 1, 1), .outputs = 50, .bias = false},
    {.geometry = square(2, 9, 9, 1, 2), .bias = false},
    {.geometry = square(1, 3, 13, 7, 2), .outputs = 48},
    {.geometry = square(5, 4, 1, 3, 1)},  // windows mostly in the padding
    {.geometry = {.batch = 2,
                  .channels = 6,
                  .height = 9,
                  .width = 7,
                  .kernel_height = 2,
                  .kernel_width = 5,
                  .stride_height = 3,
                  .stride_width = 2,
                  .padding_height = 0,
                  .padding_width = 4}},  // windows that lie in the padding entirely
};
// Large enough to be cut: rows into blocks, a weight gradient into splits; and a weight so large
// that it is not.
const ConvolutionCase kLarge[] = {{.geometry = square(3, 32, 62, 3, 1), .outputs = 24},
                                  {.geometry = square(1, 512, 9, 3, 1), .outputs = 130}};

// What bf16 holds without rounding: then its products are exact, and only sums round.
std::vector<float> coarse(std::vector<float> values) {
  for (float& value : values) value = std::round(value * 64) / 64;
  return values;
}

struct ConvolutionData {
  explicit ConvolutionData(const ConvolutionCase& c)
      : x(random_floats(
            c.geometry.batch * c.geometry.height * c.geometry.width * c.geometry.channels, 1)),
        weight(random_floats(c.outputs * c.geometry.columns(), 2)),
        bias(random_floats(c.outputs, 3)),
        dy(random_floats(c.geometry.rows() * c.outputs, 4)) {}
  void make_coarse() {
    for (auto* values : {&x, &weight, &dy}) *values = coarse(std::move(*values));
  }
  std::vector<float> x, weight, bias, dy;  // channels innermost
};

struct ConvolutionResult {
  std::vector<float> y, dx, dw, db;
  bool operator==(const ConvolutionResult&) const = default;
};

ConvolutionResult run(Queue& queue, const ConvolutionCase& c, const ConvolutionData& data) {
  const UnfoldGeometry& g = c.geometry;
  const Matrix weight = Matrix::row_major(data.weight.data(), c.outputs, g.columns());
  ConvolutionResult r;
  r.y.assign(data.dy.size(), 77);
  r.dx.assign(data.x.size(), 77);
  r.dw.assign(data.weight.size(), 77);
  r.db.assign(data.bias.size(), 77);
  const float* bias = c.bias ? data.bias.data() : nullptr;
  if (c.bf16) {
    convolution(queue, g, data.x.data(), pack_bf16(queue, weight.transposed()), {.bias = bias},
                r.y.data());
    convolution_input_gradient(queue, g, data.dy.data(), pack_bf16(queue, weight), r.dx.data());
  } else {
    convolution(queue, g, data.x.data(), pack(queue, weight.transposed()), {.bias = bias},
                r.y.data());
    convolution_input_gradient(queue, g, data.dy.data(), pack(queue, weight), r.dx.data());
  }
  convolution_weight_gradient(queue, {.geometry = g,
                                      .outputs = c.outputs,
                                      .x = data.x.data(),
                                      .dy = data.dy.data(),
                                      .dw = r.dw.data(),
                                      .db = c.bias ? r.db.data() : nullptr,
                                      .bf16 = c.bf16});
  return r;
}

// [outer, inner, channels] to [outer, channels, inner], as the oracle has it, and back.
std::vector<double> planes(const std::vector<float>& values, int64_t inner, int64_t channels) {
  std::vector<double> out(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const int64_t c = at % channels, p = at / channels % inner, outer = at / channels / inner;
    out[static_cast<size_t>((outer * channels + c) * inner + p)] = values[i];
  }
  return out;
}

// Calls visit(row, column, place in x) for every product of the definition.
template <typename Visit>
void for_each_tap(const UnfoldGeometry& g, const Visit& visit) {
  int64_t row = 0;
  for (int64_t b = 0; b < g.batch; ++b)
    for (int64_t oh = 0; oh < g.out_height(); ++oh)
      for (int64_t ow = 0; ow < g.out_width(); ++ow, ++row)
        for (int64_t kh = 0; kh < g.kernel_height; ++kh)
          for (int64_t kw = 0; kw < g.kernel_width; ++kw) {
            const int64_t h = oh * g.stride_height - g.padding_height + kh;
            const int64_t w = ow * g.stride_width - g.padding_width + kw;
            if (h < 0 || h >= g.height || w < 0 || w >= g.width) continue;
            for (int64_t c = 0; c < g.channels; ++c)
              visit(row, (kh * g.kernel_width + kw) * g.channels + c,
                    ((b * g.height + h) * g.width + w) * g.channels + c);
          }
}

void check_convolution(Queue& queue, const ConvolutionCase& c) {
  const UnfoldGeometry& g = c.geometry;
  SCOPED_TRACE(::testing::Message() << g.channels << " channels, kernel " << g.kernel_height
                                    << ", stride " << g.stride_height);
  ConvolutionData data(c);
  if (c.bf16) data.make_coarse();
  const ConvolutionResult result = run(queue, c, data);
  const auto y =
      reference::conv2d(g, planes(data.x, g.height * g.width, g.channels),
                        planes(data.weight, g.kernel_height * g.kernel_width, g.channels),
                        c.bias ? to_double(data.bias) : std::vector<double>());
  EXPECT_LT(max_relative_error(planes(result.y, g.out_height() * g.out_width(), c.outputs), y),
            sum_tolerance(g.columns()));

  std::vector<double> dx(data.x.size()), dw(data.weight.size()), db(data.bias.size());
  for_each_tap(g, [&](int64_t row, int64_t column, int64_t at) {
    for (int64_t o = 0; o < c.outputs; ++o) {
      const double gradient = data.dy[static_cast<size_t>(row * c.outputs + o)];
      const auto weight = static_cast<size_t>(o * g.columns() + column);
      dx[static_cast<size_t>(at)] += gradient * data.weight[weight];
      dw[weight] += gradient * data.x[static_cast<size_t>(at)];
    }
  });
  for (size_t i = 0; i < data.dy.size(); ++i) db[i % db.size()] += data.dy[i];
  EXPECT_LT(max_relative_error(result.dx, dx),
            sum_tolerance(c.outputs * g.kernel_height * g.kernel_width));
  EXPECT_LT(max_relative_error(result.dw, dw), sum_tolerance(g.rows()));
  if (c.bias) {
    EXPECT_LT(max_relative_error(result.db, db), sum_tolerance(g.rows()));
  }
}

TEST(Convolution, MatchesTheOracleOnEveryTarget) {
  for_each_isa([](Queue& queue) {
    for (const ConvolutionCase& c : kConvolutions) check_convolution(queue, c);
  });
}

TEST(Convolution, MatchesTheOracleWhereWorkIsCut) {
  Queue queue(2);
  for (const ConvolutionCase& c : kLarge) check_convolution(queue, c);
}

TEST(Convolution, RoundsOperandsToBf16) {
  for_each_isa([](Queue& queue) {
    for (ConvolutionCase c : kConvolutions) {
      c.bf16 = true;
      check_convolution(queue, c);
    }
  });
  Queue queue(2);
  for (ConvolutionCase c : kLarge) {
    c.bf16 = true;
    check_convolution(queue, c);
    // Values that must be rounded give something else than f32 has, and nothing far from it.
    const ConvolutionData data(c);
    const ConvolutionResult rounded = run(queue, c, data);
    c.bf16 = false;
    const ConvolutionResult exact = run(queue, c, data);
    for (const auto field :
         {&ConvolutionResult::y, &ConvolutionResult::dx, &ConvolutionResult::dw}) {
      EXPECT_LT(max_relative_error(rounded.*field, exact.*field), 1e-2);
      EXPECT_GT(max_relative_error(rounded.*field, exact.*field), 1e-5);
    }
  }
}

TEST(Convolution, DoesNotDependOnThreads) {
  ConvolutionCase rounded = kLarge[0];
  rounded.bf16 = true;
  for (const ConvolutionCase& c : {kConvolutions[1], kLarge[0], kLarge[1], rounded}) {
    const ConvolutionData data(c);
    expect_same_on_any_threads([&](Queue& queue) { return run(queue, c, data); });
  }
}

TEST(Convolution, APictureDoesNotDependOnItsBatch) {
  ConvolutionCase many{.geometry = square(40, 16, 20, 3, 1)};
  const ConvolutionData data(many);
  Queue queue(2);
  const ConvolutionResult together = run(queue, many, data);
  ConvolutionCase alone = many;
  alone.geometry.batch = 1;
  const ConvolutionResult single = run(queue, alone, data);
  const size_t pixels = static_cast<size_t>(alone.geometry.rows() * alone.outputs);
  EXPECT_TRUE(std::equal(single.y.begin(), single.y.begin() + static_cast<long>(pixels),
                         together.y.begin()));
}

TEST(Convolution, NoPicturesGiveZeros) {
  Queue queue(1);
  const ConvolutionCase none{.geometry = square(0, 3, 8, 3, 1)};
  const ConvolutionData data(none);
  const ConvolutionResult result = run(queue, none, data);
  EXPECT_EQ(result.dw, std::vector<float>(data.weight.size(), 0));
}

}  // namespace
}  // namespace vitrail::kernels
