// q, k and v head by head: the same answers as part by part, whatever their widths.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ops/attention.h"
#include "ops/tokens.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::max_relative_error;
using testing::Operands;

constexpr int64_t kHeads = 2;

AttentionOptions by_head_options() {
  return {.heads = kHeads, .path = "attn"};
}

// Part `begin` to `begin + size` of every head of qkv [B, N, H*row], side by side.
Variable part_of(const Context& context, const Variable& qkv, int64_t begin, int64_t size) {
  const int64_t batch = qkv.size(0), tokens = qkv.size(1), row = qkv.size(2) / kHeads;
  const Variable heads = reshape(context, qkv, {batch, tokens, kHeads, row});
  return reshape(context, slice(context, heads, 3, begin, begin + size),
                 {batch, tokens, kHeads * size});
}

TEST(AttentionByHead, IsAttentionOfTheSameParts) {
  Queue queue(2);
  const Context context(queue);
  const int64_t d = 5;
  Operands o({{2, 7, kHeads * 3 * d}});
  const Variable& qkv = o.inputs[0];
  const Tensor ours =
      self_attention_by_head(context, qkv, {.key = d, .value = d}, by_head_options()).value();
  const Tensor theirs = attention(context, part_of(context, qkv, 0, d), part_of(context, qkv, d, d),
                                  part_of(context, qkv, 2 * d, d), by_head_options())
                            .value();
  EXPECT_TRUE(std::ranges::equal(ours.values(), theirs.values()));
}

// A softmax of its own for each head and query, in double precision.
std::vector<double> attended(const Tensor& qkv, const HeadSizes& sizes) {
  const int64_t tokens = qkv.size(1), row = 2 * sizes.key + sizes.value, width = kHeads * row;
  std::vector<double> out;
  for (int64_t b = 0; b < qkv.size(0); ++b)
    for (int64_t i = 0; i < tokens; ++i)
      for (int64_t h = 0; h < kHeads; ++h) {
        const auto at = [&](int64_t token, int64_t column) {
          return static_cast<double>(qkv.f32()[(b * tokens + token) * width + h * row + column]);
        };
        std::vector<double> weights;
        double sum = 0;
        for (int64_t j = 0; j < tokens; ++j) {
          double score = 0;
          for (int64_t c = 0; c < sizes.key; ++c) score += at(i, c) * at(j, sizes.key + c);
          weights.push_back(std::exp(score / std::sqrt(static_cast<double>(sizes.key))));
          sum += weights.back();
        }
        for (int64_t c = 0; c < sizes.value; ++c) {
          double mixed = 0;
          for (int64_t j = 0; j < tokens; ++j)
            mixed += weights[static_cast<size_t>(j)] * at(j, 2 * sizes.key + c);
          out.push_back(mixed / sum);
        }
      }
  return out;
}

TEST(AttentionByHead, TakesValuesOfAnotherWidth) {
  Queue queue(2);
  const Context context(queue);
  for (const HeadSizes& sizes : {HeadSizes{3, 12}, HeadSizes{8, 2}, HeadSizes{4, 4}}) {
    Operands o({{2, 6, kHeads * (2 * sizes.key + sizes.value)}});
    const Tensor ours =
        self_attention_by_head(context, o.inputs[0], sizes, by_head_options()).value();
    EXPECT_EQ(ours.shape(), (Shape{2, 6, kHeads * sizes.value}));
    EXPECT_LT(max_relative_error(ours.values(), attended(o.inputs[0].value(), sizes)), 2e-6);
  }
}

TEST(AttentionByHead, GradientsMatchDifferences) {
  for (const HeadSizes& sizes : {HeadSizes{3, 3}, HeadSizes{2, 5}, HeadSizes{4, 2}}) {
    Operands o({{2, 4, kHeads * (2 * sizes.key + sizes.value)}});
    check_gradients(o, [&](const Context& context, const Operands& at) {
      return self_attention_by_head(context, at.inputs[0], sizes, by_head_options());
    });
  }
}

// The padding of a window is laid out as a row is, and so is its gradient.
TEST(AttentionByHead, PadsWindows) {
  const AttentionWindows windows =
      windows_of_grid({.grid_height = 3, .grid_width = 3, .window_height = 2, .window_width = 2});
  for (const HeadSizes& sizes : {HeadSizes{2, 2}, HeadSizes{2, 3}}) {
    const int64_t width = kHeads * (2 * sizes.key + sizes.value);
    Operands o({{1, 9, width}, {width}});
    check_gradients(o, [&](const Context& context, const Operands& at) {
      AttentionOptions options = by_head_options();
      options.windows = &windows;
      options.padding = at.inputs[1];
      return self_attention_by_head(context, at.inputs[0], sizes, options);
    });
  }
}

TEST(AttentionByHead, RefusesWhatDoesNotFit) {
  Operands o({{1, 4, kHeads * 7}});
  Queue queue(1);
  const Context context(queue);
  EXPECT_THROW(
      self_attention_by_head(context, o.inputs[0], {.key = 2, .value = 2}, by_head_options()),
      Error);
}

}  // namespace
}  // namespace vitrail
