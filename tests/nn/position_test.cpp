// Strategies of positions: what each adds where, on other grids than its own, and what it refuses.
#include <gtest/gtest.h>

#include <cmath>

#include "nn/attention.h"
#include "nn/position/decomposed.h"
#include "nn/position/distance.h"
#include "nn/position/offset.h"
#include "nn/position/relative.h"
#include "nn/position/rotary.h"
#include "ops/attention_probe.h"
#include "support/compare.h"
#include "support/random.h"

namespace vitrail {
namespace {

using testing::max_relative_error;
using testing::random_tensor;

TokenLayout patches_of(int64_t height, int64_t width, int64_t prefix) {
  TokenLayout layout;
  layout.class_tokens = prefix;
  layout.grid_height = height;
  layout.grid_width = width;
  return layout;
}

// Attention with the terms of one strategy over random q, k and v of two heads.
Tensor attend_with(const PositionStrategy& positions, const TokenLayout& layout, int64_t block,
                   AttentionProbe* probe = nullptr) {
  Queue queue(1);
  Context context(queue);
  context.probe = probe;
  AttentionOptions options{.heads = 2, .path = "attn"};
  positions.describe(context, layout, block, &options);
  return self_attention(context, random_tensor({1, layout.tokens(), 3 * 2 * 8}, 5), options)
      .value();
}

TEST(Positions, NoneAddNothingAnywhere) {
  Queue queue(1);
  const Context context(queue);
  const NoPositions none;
  EXPECT_FALSE(none.table(context, patches_of(2, 3, 1)).defined());
  const AttentionOptions plain{.heads = 2, .path = "attn"};
  const Tensor expected =
      self_attention(context, random_tensor({1, 7, 3 * 2 * 8}, 5), plain).value();
  const Tensor ours = attend_with(none, patches_of(2, 3, 1), 0);
  EXPECT_TRUE(std::ranges::equal(ours.values(), expected.values()));
}

TEST(Positions, DistancesTakeTheirShareFromTheScores) {
  ParameterRegistry registry;
  const DistancePositions positions(Scope(registry), 2);
  registry.initialise(1);
  EXPECT_FLOAT_EQ(registry.at("slopes").value().f32()[0], 1.0f / 16);
  EXPECT_FLOAT_EQ(registry.at("slopes").value().f32()[1], 1.0f / 256);
  const TokenLayout layout = patches_of(3, 4, 1);
  AttentionProbe with({.all_queries = true}), without({.all_queries = true});
  attend_with(positions, layout, 0, &with);
  attend_with(NoPositions(), layout, 0, &without);
  const Tensor rows = with.record("attn").rows, plain = without.record("attn").rows;
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t i = 0; i < 13; ++i) {
      std::vector<double> expected;
      double total = 0;
      for (int64_t j = 0; j < 13; ++j) {
        const auto y = [](int64_t n) { return static_cast<double>((n - 1) / 4); };
        const auto x = [](int64_t n) { return static_cast<double>((n - 1) % 4); };
        const double distance = i == 0 || j == 0 ? 0 : std::hypot(y(i) - y(j), x(i) - x(j));
        expected.push_back(static_cast<double>(plain.f32()[(h * 13 + i) * 13 + j]) *
                           std::exp(-distance / (h == 0 ? 16 : 256)));
        total += expected.back();
      }
      for (int64_t j = 0; j < 13; ++j)
        EXPECT_NEAR(rows.f32()[(h * 13 + i) * 13 + j], expected[j] / total, 1e-5);
    }
}

TEST(Positions, OffsetsAreAddedWhicheverTokenComesFirst) {
  ParameterRegistry registry;
  const OffsetPositions positions(Scope(registry),
                                  {.num_heads = 2, .grid_height = 3, .grid_width = 4});
  Parameter& biases = registry.at("attention_biases");
  biases.set_value(random_tensor({2, 12}, 9));
  const TokenLayout layout = patches_of(3, 4, 0);
  AttentionProbe with({.all_queries = true}), without({.all_queries = true});
  attend_with(positions, layout, 0, &with);
  attend_with(NoPositions(), layout, 0, &without);
  const Tensor &ours = with.record("attn").rows, &plain = without.record("attn").rows;
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t i = 0; i < 12; ++i) {
      std::vector<double> wanted;
      double sum = 0;
      for (int64_t j = 0; j < 12; ++j) {
        const int64_t dy = std::abs(i / 4 - j / 4), dx = std::abs(i % 4 - j % 4);
        wanted.push_back(double(plain.f32()[(h * 12 + i) * 12 + j]) *
                         std::exp(double(biases.value().f32()[h * 12 + dy * 4 + dx])));
        sum += wanted.back();
      }
      for (int64_t j = 0; j < 12; ++j)
        EXPECT_NEAR(ours.f32()[(h * 12 + i) * 12 + j], wanted[static_cast<size_t>(j)] / sum, 1e-6);
    }
  EXPECT_THROW(attend_with(positions, patches_of(4, 3, 0), 0), Error);
  EXPECT_THROW(attend_with(positions, patches_of(3, 4, 1), 0), Error);
}

TEST(Positions, ATableWithoutARuleRefusesAnotherGrid) {
  ParameterRegistry registry;
  const RelativePositions positions(
      Scope(registry).child("attn"),
      {.num_heads = 2, .grid_height = 3, .grid_width = 4, .prefix = 1});
  registry.initialise(1);
  EXPECT_EQ(registry.at("attn.relative_position_bias_table").shape(), (Shape{5 * 7 + 3, 2}));
  EXPECT_NO_THROW(attend_with(positions, patches_of(3, 4, 1), 0));
  EXPECT_THROW(attend_with(positions, patches_of(4, 4, 1), 0), Error);
  EXPECT_THROW(attend_with(positions, patches_of(3, 4, 2), 0), Error);
  const DecomposedPositions rows(Scope(registry).child("sam"),
                                 {.head_dim = 8, .grid_height = 3, .grid_width = 4});
  registry.initialise(1);
  EXPECT_THROW(attend_with(rows, patches_of(3, 4, 1), 0), Error);
}

TEST(Positions, RotaryRefusesWhatDoesNotTurn) {
  EXPECT_THROW(AxialRotary({}, 6), Error);
  EXPECT_THROW(AxialRotary({.base = 0}, 8), Error);
  EXPECT_THROW(AxialRotary({}, 8, {1, 2, 3}), Error);
  const AxialRotary given({}, 8, {1, 0.5});
  const Tensor angles = given.angles(2, 3);
  EXPECT_EQ(angles.f32()[4 * 4 + 0], 1);  // row 1, column 1
  EXPECT_EQ(angles.f32()[4 * 4 + 3], 0.5f);
}

// What inference keeps of learned frequencies is made again when they change.
TEST(Positions, LearnedFrequenciesAreFollowed) {
  ParameterRegistry registry;
  const MixedRotary positions(Scope(registry),
                              {.kind = Rotary::mixed, .base = 10, .column_first = true},
                              {.depth = 2, .num_heads = 2, .head_dim = 8});
  registry.initialise(1);
  const TokenLayout layout = patches_of(2, 3, 1);
  const Tensor before = attend_with(positions, layout, 1);
  EXPECT_TRUE(std::ranges::equal(attend_with(positions, layout, 1).values(), before.values()));
  EXPECT_FALSE(std::ranges::equal(attend_with(positions, layout, 0).values(), before.values()));
  Parameter& frequencies = registry.at("freqs");
  for (float& x : frequencies.value().values()) x *= 2;
  frequencies.changed();
  EXPECT_FALSE(std::ranges::equal(attend_with(positions, layout, 1).values(), before.values()));
  EXPECT_THROW(attend_with(positions, layout, 2), Error);
}

TEST(CrossAttention, ReadsAMemoryOfAnotherWidth) {
  ParameterRegistry registry;
  const CrossAttention module(Scope(registry).child("cross"),
                              {.embed_dim = 6, .memory_dim = 10, .num_heads = 2, .head_dim = 4});
  registry.initialise(1);
  EXPECT_EQ(registry.at("cross.kv.weight").shape(), (Shape{16, 10}));
  Queue queue(1);
  const Context context(queue);
  const Tensor queries = random_tensor({2, 3, 6}, 1), memory = random_tensor({2, 5, 10}, 2);
  const Tensor ours = module.forward(context, {queries}, {memory}, {}).value();
  ASSERT_EQ(ours.shape(), (Shape{2, 3, 6}));
  // The same of three products.
  const auto product = [&](const Tensor& x, const char* path, int64_t begin, int64_t end) {
    const Tensor w = registry.at(std::string(path) + ".weight").value();
    const Tensor b = registry.at(std::string(path) + ".bias").value();
    const int64_t inputs = x.size(2);
    std::vector<double> y;
    for (int64_t row = 0; row < x.numel() / inputs; ++row)
      for (int64_t o = begin; o < end; ++o) {
        double sum = static_cast<double>(b.f32()[o]);
        for (int64_t i = 0; i < inputs; ++i)
          sum += static_cast<double>(x.f32()[row * inputs + i]) * w.f32()[o * inputs + i];
        y.push_back(sum);
      }
    return y;
  };
  const auto q = product(queries, "cross.q", 0, 8), k = product(memory, "cross.kv", 0, 8);
  const auto v = product(memory, "cross.kv", 8, 16);
  Tensor mixed = Tensor::zeros({2, 3, 8});
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t h = 0; h < 2; ++h)
      for (int64_t i = 0; i < 3; ++i) {
        double total = 0;
        std::vector<double> sums(4);
        for (int64_t j = 0; j < 5; ++j) {
          double score = 0;
          for (int64_t c = 0; c < 4; ++c)
            score += q[(b * 3 + i) * 8 + h * 4 + c] * k[(b * 5 + j) * 8 + h * 4 + c];
          const double p = std::exp(score / 2);
          total += p;
          for (int64_t c = 0; c < 4; ++c) sums[c] += p * v[(b * 5 + j) * 8 + h * 4 + c];
        }
        for (int64_t c = 0; c < 4; ++c)
          mixed.f32()[(b * 3 + i) * 8 + h * 4 + c] = static_cast<float>(sums[c] / total);
      }
  EXPECT_LE(max_relative_error(ours.values(), product(mixed, "cross.proj", 0, 6)), 1e-5);
}

}  // namespace
}  // namespace vitrail
