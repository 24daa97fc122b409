#include "kernels/channel_attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/isa.h"
#include "kernels/reference/channel_attention.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using vitrail::testing::expect_same_on_any_threads;
using vitrail::testing::for_each_isa;
using vitrail::testing::max_relative_error;
using vitrail::testing::numeric_gradient;
using vitrail::testing::random_floats;
using vitrail::testing::sum_tolerance;
using vitrail::testing::to_double;

// q, k and v of one fused projection, [B, N, 3, H, d].
struct Channels {
  explicit Channels(const ChannelShape& shape)
      : s(shape),
        qkv(random_floats(s.batch * s.tokens * 3 * width(), 1)),
        d_o(random_floats(s.batch * s.tokens * width(), 2)),
        temperature(random_floats(s.heads, 3, 0.5f, 3)) {}

  int64_t width() const { return s.heads * s.head_dim; }
  HeadView part(std::vector<float>& x, int64_t index, int64_t parts) const {
    const int64_t row = parts * width();
    return {.data = x.data() + index * width(), .stride = {s.tokens * row, s.head_dim, row}};
  }
  std::vector<double> by_head(const std::vector<float>& x, int64_t index, int64_t parts) const {
    std::vector<double> out;
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t h = 0; h < s.heads; ++h)
        for (int64_t n = 0; n < s.tokens; ++n)
          for (int64_t i = 0; i < s.head_dim; ++i)
            out.push_back(x[((b * s.tokens + n) * parts + index) * width() + h * s.head_dim + i]);
    return out;
  }
  reference::ChannelInput input() const {
    return {.batch = s.batch,
            .heads = s.heads,
            .tokens = s.tokens,
            .head_dim = s.head_dim,
            .epsilon = 1e-12,
            .q = by_head(qkv, 0, 3),
            .k = by_head(qkv, 1, 3),
            .v = by_head(qkv, 2, 3),
            .temperature = to_double(temperature)};
  }

  ChannelShape s;
  std::vector<float> qkv, d_o, temperature;
};

struct ChannelRun {
  std::vector<float> o, weights, d_qkv, d_temperature;
  bool operator==(const ChannelRun&) const = default;
};

ChannelRun run_channels(Queue& queue, Channels& c) {
  const ChannelShape& s = c.s;
  std::vector<float> q_length(s.rows()), k_length(s.rows()), cosines(s.weights());
  ChannelRun r{.o = std::vector<float>(c.d_o.size()),
               .weights = std::vector<float>(s.weights()),
               .d_qkv = std::vector<float>(c.qkv.size()),
               .d_temperature = std::vector<float>(s.heads)};
  const ChannelWeightsArgs args{.shape = s,
                                .q = c.part(c.qkv, 0, 3),
                                .k = c.part(c.qkv, 1, 3),
                                .temperature = c.temperature.data(),
                                .q_length = q_length.data(),
                                .k_length = k_length.data(),
                                .cosines = cosines.data(),
                                .weights = r.weights.data()};
  channel_weights(queue, args);
  channel_mix(queue, s, r.weights.data(), false, c.part(c.qkv, 2, 3), c.part(r.o, 0, 1));
  std::vector<float> d_weights(s.weights());
  const HeadView d_o = c.part(c.d_o, 0, 1);
  channel_products(queue, s, d_o, c.part(c.qkv, 2, 3), d_weights.data());
  channel_mix(queue, s, r.weights.data(), true, d_o, c.part(r.d_qkv, 2, 3));
  channel_weights_backward(queue, args,
                           {.d_weights = d_weights.data(),
                            .d_scores = d_weights.data(),
                            .d_temperature = r.d_temperature.data(),
                            .dq = c.part(r.d_qkv, 0, 3),
                            .dk = c.part(r.d_qkv, 1, 3)});
  return r;
}

TEST(ChannelAttention, AgreesWithTheReference) {
  const ChannelShape shapes[] = {{.batch = 1, .heads = 1, .tokens = 1, .head_dim = 1},
                                 {.batch = 2, .heads = 3, .tokens = 17, .head_dim = 5},
                                 {.batch = 1, .heads = 2, .tokens = 196, .head_dim = 32},
                                 {.batch = 3, .heads = 1, .tokens = 7, .head_dim = 48},
                                 {.batch = 1, .heads = 8, .tokens = 301, .head_dim = 33}};
  for_each_isa([&](Queue& queue) {
    for (const ChannelShape& shape : shapes) {
      SCOPED_TRACE(::testing::Message() << shape.tokens << " tokens, " << shape.head_dim);
      Channels c(shape);
      const reference::ChannelInput input = c.input();
      const reference::ChannelResult expected = reference::channel_attention(input);
      const reference::ChannelGradients gradients =
          reference::channel_attention_backward(input, c.by_head(c.d_o, 0, 1));
      const ChannelRun r = run_channels(queue, c);
      const double bound = 32 * sum_tolerance(shape.tokens + shape.head_dim);
      EXPECT_LE(max_relative_error(c.by_head(r.o, 0, 1), expected.o), bound);
      EXPECT_LE(max_relative_error(r.weights, expected.weights), bound);
      EXPECT_LE(max_relative_error(c.by_head(r.d_qkv, 2, 3), gradients.dv), bound);
      if (shape.head_dim == 1) continue;  // one channel weighs 1, whatever q and k are
      EXPECT_LE(max_relative_error(c.by_head(r.d_qkv, 0, 3), gradients.dq), 8 * bound);
      EXPECT_LE(max_relative_error(c.by_head(r.d_qkv, 1, 3), gradients.dk), 8 * bound);
      EXPECT_LE(max_relative_error(r.d_temperature, gradients.d_temperature), 8 * bound);
    }
  });
}

// The oracle's own gradients against central differences.
TEST(ChannelAttention, ReferenceGradientIsTheDerivative) {
  const Channels c({.batch = 2, .heads = 2, .tokens = 5, .head_dim = 3});
  const reference::ChannelInput input = c.input();
  const std::vector<double> d_o = c.by_head(c.d_o, 0, 1);
  const reference::ChannelGradients expected = reference::channel_attention_backward(input, d_o);
  const auto derivative = [&](std::vector<double> reference::ChannelInput::*field) {
    return numeric_gradient(
        [&](const std::vector<double>& x) {
          reference::ChannelInput in = input;
          in.*field = x;
          const std::vector<double> o = reference::channel_attention(in).o;
          double sum = 0;
          for (size_t i = 0; i < o.size(); ++i) sum += o[i] * d_o[i];
          return sum;
        },
        input.*field);
  };
  EXPECT_LE(max_relative_error(derivative(&reference::ChannelInput::q), expected.dq), 1e-7);
  EXPECT_LE(max_relative_error(derivative(&reference::ChannelInput::k), expected.dk), 1e-7);
  EXPECT_LE(max_relative_error(derivative(&reference::ChannelInput::v), expected.dv), 1e-7);
  EXPECT_LE(
      max_relative_error(derivative(&reference::ChannelInput::temperature), expected.d_temperature),
      1e-7);
}

TEST(ChannelAttention, AChannelOfZerosHasFiniteGradients) {
  Channels c({.batch = 1, .heads = 1, .tokens = 4, .head_dim = 2});
  for (int64_t n = 0; n < 4; ++n) c.qkv[n * 6] = 0;  // of q
  Queue queue(1);
  const ChannelRun r = run_channels(queue, c);
  for (const auto* values : {&r.o, &r.d_qkv, &r.d_temperature})
    for (const float x : *values) EXPECT_TRUE(std::isfinite(x));
}

TEST(ChannelAttention, ThreadsChangeNoElement) {
  Channels c({.batch = 3, .heads = 5, .tokens = 130, .head_dim = 24});
  expect_same_on_any_threads([&](Queue& queue) { return run_channels(queue, c); });
}

}  // namespace
}  // namespace vitrail::kernels
