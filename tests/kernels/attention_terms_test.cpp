// Attention with terms of its bias, windows and transforms of q and k, each alone and together,
// against double precision with everything spread out.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/attention_term_data.h"
#include "support/compare.h"
#include "support/isa.h"

namespace vitrail::kernels {
namespace {

using operands::TermCase;
using operands::TermData;
using operands::TermResult;
using vitrail::testing::expect_same_on_any_threads;
using vitrail::testing::for_each_isa;
using vitrail::testing::max_relative_error;
using vitrail::testing::sum_tolerance;
using Table = TermCase::Table;
using Turn = TermCase::Turn;

const AttentionShape kSmall{.batch = 4, .heads = 2, .queries = 12, .keys = 12, .head_dim = 8};
// Two panels of queries, two blocks of keys.
const AttentionShape kLong{.batch = 2, .heads = 3, .queries = 150, .keys = 150, .head_dim = 24};
const AttentionShape kCross{.batch = 4, .heads = 2, .queries = 19, .keys = 33, .head_dim = 10};

const TermCase kTermCases[] = {
    {.name = "dense of all heads", .shape = kCross, .dense = true, .dense_of_all_heads = true},
    {.name = "dense of each sample", .shape = kCross, .dense = true, .dense_by_sample = true},
    {.name = "dense of each sample, one for all heads",
     .shape = kCross,
     .dense = true,
     .dense_by_sample = true,
     .dense_of_all_heads = true},
    {.name = "by key", .shape = kCross, .by_key = true},
    {.name = "by key of each sample, beside dense",
     .shape = kCross,
     .dense = true,
     .by_key = true,
     .by_key_of_sample = true},
    {.name = "table by index", .shape = kCross, .table = Table::index},
    {.name = "table by rule",
     .shape = kSmall,
     .table = Table::rule,
     .grid_height = 3,
     .grid_width = 4},
    {.name = "long table by rule",
     .shape = kLong,
     .table = Table::rule,
     .grid_height = 10,
     .grid_width = 15},
    {.name = "table with a prefix",
     .shape = {.batch = 2, .heads = 3, .queries = 13, .keys = 13, .head_dim = 5},
     .table = Table::rule_with_prefix,
     .grid_height = 4,
     .grid_width = 3},
    {.name = "decomposed", .shape = kSmall, .grid_height = 3, .grid_width = 4, .decomposed = true},
    {.name = "long decomposed",
     .shape = kLong,
     .grid_height = 15,
     .grid_width = 10,
     .decomposed = true},
    {.name = "distance", .shape = kCross, .distance = true},
    {.name = "groups", .shape = kCross, .group_periods = 2},
    {.name = "groups that do not mix",
     .shape = kCross,
     .group_periods = 4,
     .infinite_penalty = true},
    {.name = "layer norm", .shape = kCross, .norm = HeadNormKind::layer, .norm_weights = true},
    {.name = "rms norm", .shape = kLong, .norm = HeadNormKind::rms, .norm_weights = true},
    {.name = "l2 norm with gain", .shape = kCross, .norm = HeadNormKind::l2, .gain = true},
    {.name = "rotary, interleaved", .shape = kLong, .turn = Turn::interleaved, .turn_prefix = 1},
    {.name = "rotary, halves", .shape = kCross, .turn = Turn::halves, .turn_prefix = 5},
    {.name = "norm, then rotary by head",
     .shape = kCross,
     .norm = HeadNormKind::layer,
     .norm_weights = true,
     .gain = true,
     .turn = Turn::halves_by_head},
    {.name = "windows", .shape = kSmall, .windows = 2},
    {.name = "padded windows", .shape = kCross, .windows = 2, .padding = 9},
    {.name = "long padded windows", .shape = kLong, .windows = 2, .padding = 17},
    {.name = "Swin: table, windows, groups",
     .shape = kSmall,
     .windows = 2,
     .padding = 3,
     .table = Table::rule,
     .grid_height = 4,
     .grid_width = 3,
     .group_periods = 2,
     .infinite_penalty = true},
    {.name = "everything",
     .shape = {.batch = 4, .heads = 2, .queries = 132, .keys = 132, .head_dim = 12},
     .windows = 2,
     .padding = 5,
     .dense = true,
     .by_key = true,
     .by_key_of_sample = true,
     .table = Table::rule,
     .grid_height = 12,
     .grid_width = 11,
     .decomposed = true,
     .distance = true,
     .group_periods = 2,
     .causal = true,
     .lengths = true,
     .norm = HeadNormKind::rms,
     .norm_weights = true,
     .gain = true,
     .turn = Turn::interleaved,
     .turn_prefix = 2},
};

// Half of bf16's epsilon: what rounding changes at most.
constexpr double kRoundingOfTerms = 1.0 / 512;

void expect_terms(Queue& queue, const TermCase& c, Precision precision) {
  SCOPED_TRACE(::testing::Message() << c.name << ", " << name_of(precision));
  TermData data(c, precision);
  const reference::AttentionInput input = reference::spread(data.args);
  const reference::AttentionResult expected = reference::attention(input);
  const reference::TermGradients gradients =
      reference::spread_backward(data.args, data.d_o_by_token(precision));
  const TermResult r = data.run(queue);
  const AttentionShape& s = c.shape;
  // Biases and gains make scores of some tens; their rounding goes into the exponent.
  const double sums = 64 * sum_tolerance(s.head_dim + s.keys);
  const double bound = sums + (precision == Precision::f32 ? 0 : 4 * kRoundingOfTerms);
  std::vector<double> padding(data.padding_size());
  const auto tokens = [&](const std::vector<double>& x, bool keys, int part) {
    return data.without_padding(x, keys, part, padding);
  };
  EXPECT_LE(max_relative_error(r.lse, expected.lse), bound);
  std::vector<double> nothing;
  EXPECT_LE(max_relative_error(data.by_token(r.o, false),
                               data.without_padding(expected.o, false, 0, nothing)),
            bound);
  const double loose = 4 * bound;
  EXPECT_LE(max_relative_error(data.by_token(r.dq, false), tokens(gradients.q.x, false, 0)), loose);
  EXPECT_LE(max_relative_error(data.by_token(r.dk, true), tokens(gradients.k.x, true, 1)), loose);
  EXPECT_LE(max_relative_error(data.by_token(r.dv, true), tokens(gradients.dv, true, 2)), loose);
  // What is summed over sequences gathers their roundings.
  const double summed = loose * std::sqrt(static_cast<double>(s.batch * s.heads));
  const auto expect = [&](const char* name, const std::vector<float>& got,
                          const std::vector<double>& wanted) {
    if (got.empty()) return;
    EXPECT_LE(max_relative_error(got, wanted), summed) << name;
  };
  expect("padding", r.padding, padding);
  if (data.has_dense()) expect("dense", r.dense, data.reduced(gradients.dense, false));
  if (c.by_key) expect("by key", r.by_key, data.reduced(gradients.dense, true));
  expect("table", r.table, gradients.table);
  expect("rows", r.rows, gradients.rows);
  expect("columns", r.columns, gradients.columns);
  expect("slopes", r.slopes, gradients.slopes);
  for (int side = 0; side < 2; ++side) {
    const reference::TransformGradients& learned = side == 0 ? gradients.q : gradients.k;
    expect("weight", r.weight[side], learned.weight);
    if (side == 0) expect("bias", r.bias[side], learned.bias);
    // A shift of all keys moves all scores of a query alike: without a rotation behind it, its
    // gradient is zero, which the other gradient of the norm gives a size.
    for (size_t i = 0; side == 1 && i < r.bias[side].size(); ++i)
      EXPECT_NEAR(r.bias[side][i], learned.bias[i],
                  summed * *std::max_element(learned.weight.begin(), learned.weight.end()));
    expect("gain", r.gain[side], learned.gain);
    std::vector<double> angles(r.angles[side].size());
    for (size_t i = 0; i < learned.angles.size() && !angles.empty(); ++i)
      angles[i % angles.size()] += learned.angles[i];
    expect("angles", r.angles[side], angles);
  }
}

TEST(AttentionTerms, AgreeWithTheReference) {
  for_each_isa([](Queue& queue) {
    for (const TermCase& c : kTermCases) {
      expect_terms(queue, c, Precision::f32);
      expect_terms(queue, c, Precision::bf16);
    }
  });
}

TEST(AttentionTerms, ThreadsChangeNoBit) {
  for (const TermCase& c : kTermCases) {
    SCOPED_TRACE(c.name);
    expect_same_on_any_threads([&](Queue& queue) {
      TermData data(c, Precision::f32);
      return data.run(queue);
    });
  }
}

// A sample's outputs are the same alone as in its batch: terms that are computed once for a batch
// have the bits of those computed block by block.
TEST(AttentionTerms, TheBatchChangesNoBit) {
  for (const TermCase& c : kTermCases) {
    SCOPED_TRACE(c.name);
    TermData data(c, Precision::f32);
    Queue queue(2);
    const TermResult whole = data.run(queue);
    const AttentionArgs every = data.args;
    const int64_t samples = c.shape.batch / c.windows;
    const auto floats = static_cast<int64_t>(whole.o.size()) / samples;
    for (int64_t sample = 0; sample < samples; ++sample) {
      AttentionArgs alone = attention_of_sample(every, sample);
      std::vector<float> o(static_cast<size_t>(floats));
      attention(queue, alone, {.o = {.data = o.data(), .stride = every.q.stride}},
                Tensor::empty({attention_workspace(alone.shape)}, DType::u8).raw());
      EXPECT_TRUE(std::equal(o.begin(), o.end(), whole.o.begin() + sample * floats));
    }
  }
}

// Any other order of queries; all of them, and too few for the tiles of the forward pass.
TEST(AttentionTerms, RowsAreExact) {
  for_each_isa([](Queue& queue) {
    for (const TermCase& c : kTermCases)
      for (const Precision precision : {Precision::f32, Precision::bf16})
        for (const int64_t step : {int64_t{1}, c.shape.queries / 2}) {
          SCOPED_TRACE(::testing::Message() << c.name << ", " << name_of(precision));
          TermData data(c, precision);
          const AttentionShape& s = c.shape;
          const reference::AttentionResult expected =
              reference::attention(reference::spread(data.args));
          const TermResult r = data.run(queue);
          std::vector<int64_t> queries;
          for (int64_t i = s.queries - 1; i >= 0; i -= step) queries.push_back(i);
          const auto count = static_cast<int64_t>(queries.size());
          std::vector<float> rows(s.batch * s.heads * count * s.keys);
          attention_rows(queue, data.args,
                         {.queries = queries.data(),
                          .count = count,
                          .lse = r.lse.data(),
                          .rows = rows.data()});
          std::vector<double> p;
          for (int64_t head = 0; head < s.batch * s.heads; ++head)
            for (const int64_t query : queries) {
              const auto from = expected.p.begin() + (head * s.queries + query) * s.keys;
              p.insert(p.end(), from, from + s.keys);
            }
          // bf16: a value near the middle of two may be rounded the other way.
          EXPECT_LE(max_relative_error(rows, p), precision == Precision::f32 ? 1e-5 : 2e-2);
          for (int64_t row = 0; row < s.batch * s.heads * count; ++row) {
            const double total = std::accumulate(rows.begin() + row * s.keys,
                                                 rows.begin() + (row + 1) * s.keys, 0.0);
            EXPECT_NEAR(total, 1, 1e-4);
          }
        }
  });
}

// Long sequences spread nothing: the terms of the bias come block by block, and their gradients are
// given on block by block.
TEST(AttentionTerms, LongSequencesNeedNoMemoryOfTheirSquare) {
  const TermCase c{.name = "4096 tokens",
                   .shape = {.batch = 1, .heads = 1, .queries = 4096, .keys = 4096, .head_dim = 8},
                   .table = Table::rule,
                   .grid_height = 64,
                   .grid_width = 64,
                   .decomposed = true};
  TermData data(c, Precision::f32);
  Queue queue(2);
  const TermResult r = data.run(queue);
  double total = 0;
  for (const float x : r.table) total += static_cast<double>(x);
  // Each row of dS sums to nothing.
  EXPECT_NEAR(total, 0, 1e-2);
  EXPECT_GT(*std::max_element(r.table.begin(), r.table.end()), 1e-4f);
}

}  // namespace
}  // namespace vitrail::kernels
