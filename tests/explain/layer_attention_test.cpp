// Rows of an explained layer, computed term by term over the tokens of its stage, against those
// that the attention kernel gives by window.
#include "explain/layer_attention.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "ops/attention.h"
#include "support/random.h"

namespace vitrail {
namespace {

constexpr int64_t kRowHeads = 2, kRowDim = 4;

struct Probed {
  AttentionProbe probe{{.all_queries = true, .keep = true}};
  Queue queue{1};

  const AttentionRecord& run(const AttentionOptions& options, int64_t tokens) {
    Context context(queue);
    context.probe = &probe;
    // Two samples: the first one is explained.
    self_attention(context, testing::random_tensor({2, tokens, 3 * kRowHeads * kRowDim}, 3),
                   options);
    return probe.record(options.path);
  }
};

// The kernel's row of a token, [Nk], spread over the tokens that its window holds.
std::vector<float> kernel_row(const AttentionRecord& record, const AttentionWindows& windows,
                              int64_t head, int64_t token) {
  const AttentionWindows::Place place = windows.place_of(token);
  const int64_t n = windows.tokens;
  const float* row = record.rows.f32() + ((place.window * kRowHeads + head) * n + place.token) * n;
  std::vector<float> out(static_cast<size_t>(windows.memory));
  for (int64_t i = 0; i < n; ++i) {
    const int32_t key = windows.rows.data<int32_t>()[place.window * n + i];
    if (key >= 0) out[static_cast<size_t>(key)] = row[i];
  }
  return out;
}

void expect_near(const std::vector<float>& ours, const std::vector<float>& expected) {
  ASSERT_EQ(ours.size(), expected.size());
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(ours[i], expected[i], 1e-6) << i;
}

class ShiftedWindows : public ::testing::TestWithParam<bool> {};

TEST_P(ShiftedWindows, RowsLieOnTheGridOfTheirStage) {
  const AttentionWindows windows = windows_of_grid({.grid_height = 5,
                                                    .grid_width = 7,
                                                    .window_height = 2,
                                                    .window_width = 4,
                                                    .shift_height = 1,
                                                    .shift_width = 2,
                                                    .rolls_first = GetParam(),
                                                    .penalty = -3});
  AttentionOptions options{.heads = kRowHeads, .path = "attn", .windows = &windows};
  options.relative = {.table = testing::random_tensor({3 * 7, kRowHeads}, 5),
                      .index = relative_grid(2, 4)};
  options.decomposed = {.rows = testing::random_tensor({3, kRowDim}, 6),
                        .columns = testing::random_tensor({7, kRowDim}, 7),
                        .height = 2,
                        .width = 4};
  options.padding = testing::random_tensor({3 * kRowHeads * kRowDim}, 8);
  Probed probed;
  const AttentionRecord& record = probed.run(options, 35);
  const TokenLayout layout{.grid_height = 5, .grid_width = 7};
  const LayerAttention layer = layer_attention(probed.queue, record, 2, layout, layout);
  EXPECT_TRUE(layer.padded);
  EXPECT_EQ(layer.stage, 2);
  std::vector<double> mean(35);
  for (int64_t head = 0; head < kRowHeads; ++head)
    for (int64_t token = 0; token < 35; ++token) {
      const std::vector<float> row = attention_row(probed.queue, layer, head, token);
      expect_near(row, kernel_row(record, windows, head, token));
      EXPECT_LE(std::ranges::count_if(row, [](float weight) { return weight != 0; }), 8);
      for (size_t i = 0; i < row.size(); ++i) mean[i] += row[i] / (2.0 * 35);
    }
  const std::vector<float> ours = mean_row(probed.queue, layer);
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(ours[i], mean[i], 1e-6);
}
INSTANTIATE_TEST_SUITE_P(LayerAttention, ShiftedWindows, ::testing::Bool());

TEST(LayerAttention, CarriesEveryTerm) {
  const TokenLayout layout{.class_tokens = 1, .grid_height = 2, .grid_width = 3};
  AttentionOptions options{.heads = kRowHeads, .path = "attn"};
  const Variable dense(testing::random_tensor({1, 1, 7, 7}, 11));
  options.bias = &dense;
  options.key_bias = testing::random_tensor({1, kRowHeads, 7}, 12);
  options.relative = {.table = testing::random_tensor({3 * 5 + 3, kRowHeads}, 13),
                      .index = relative_grid(2, 3, 1)};
  options.distance = {.slopes = testing::random_tensor({kRowHeads}, 14),
                      .query_places = grid_places(2, 3, 1),
                      .key_places = grid_places(2, 3, 1),
                      .prefix = 1};
  Probed probed;
  const AttentionRecord& record = probed.run(options, 7);
  const LayerAttention layer = layer_attention(probed.queue, record, 0, layout, layout);
  for (int64_t head = 0; head < kRowHeads; ++head)
    for (int64_t token = 0; token < 7; ++token) {
      const float* row = record.rows.f32() + (head * 7 + token) * 7;
      expect_near(attention_row(probed.queue, layer, head, token), {row, row + 7});
    }
}

TEST(LayerAttention, RefusesGridsThatDoNotFit) {
  AttentionOptions options{.heads = kRowHeads, .path = "attn"};
  Probed probed;
  const AttentionRecord& record = probed.run(options, 7);
  const TokenLayout six{.grid_height = 2, .grid_width = 3};
  EXPECT_THROW(layer_attention(probed.queue, record, 0, six, six), Error);
  AttentionOptions causal{.heads = kRowHeads, .causal = true, .path = "causal"};
  const AttentionRecord& hidden = probed.run(causal, 6);
  EXPECT_THROW(layer_attention(probed.queue, hidden, 0, six, six), Error);
}

// Talking heads and re-attention: what the values are multiplied by.
TEST(LayerAttention, RowsOfMixedHeadsAreThoseThatRan) {
  AttentionOptions options{.heads = kRowHeads, .path = "attn"};
  options.mixing = {.before = testing::random_tensor({kRowHeads, kRowHeads}, 5),
                    .before_bias = testing::random_tensor({kRowHeads}, 6),
                    .after = testing::random_tensor({kRowHeads, kRowHeads}, 7),
                    .after_bias = testing::random_tensor({kRowHeads}, 8)};
  Probed probed;
  const AttentionRecord& record = probed.run(options, 6);
  const TokenLayout layout{.grid_height = 2, .grid_width = 3};
  const LayerAttention layer = layer_attention(probed.queue, record, 0, layout, layout);
  EXPECT_TRUE(layer.mixing.present());
  std::vector<double> mean(6);
  for (int64_t head = 0; head < kRowHeads; ++head)
    for (int64_t token = 0; token < 6; ++token) {
      const std::vector<float> row = attention_row(probed.queue, layer, head, token);
      const float* ran = record.rows.f32() + (head * 6 + token) * 6;
      expect_near(row, {ran, ran + 6});
      for (size_t i = 0; i < 6; ++i) mean[i] += row[i] / (kRowHeads * 6.0);
    }
  const std::vector<float> ours = mean_row(probed.queue, layer);
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(ours[i], mean[i], 1e-6);
}

}  // namespace
}  // namespace vitrail
