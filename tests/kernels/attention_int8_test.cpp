// Attention in 8-bit integers: against double precision of the same quantized operands, and against
// what was meant.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/attention.h"
#include "kernels/attention_data.h"
#include "kernels/reference/attention.h"
#include "support/compare.h"
#include "support/isa.h"

namespace vitrail::kernels {
namespace {

using operands::Case;
using operands::Data;
using vitrail::testing::expect_same_on_any_threads;
using vitrail::testing::for_each_isa;
using vitrail::testing::kEpsilon;
using vitrail::testing::max_relative_error;
using vitrail::testing::sum_tolerance;

// One, odd and block-crossing numbers of tokens; head sizes with tails; queries unlike keys.
const AttentionShape kShapes[] = {
    {.batch = 1, .heads = 1, .queries = 1, .keys = 1, .head_dim = 1},
    {.batch = 2, .heads = 3, .queries = 17, .keys = 17, .head_dim = 8},
    {.batch = 1, .heads = 2, .queries = 40, .keys = 99, .head_dim = 5},
    {.batch = 1, .heads = 2, .queries = 65, .keys = 65, .head_dim = 33},
    {.batch = 2, .heads = 2, .queries = 5, .keys = 203, .head_dim = 16},
    {.batch = 1, .heads = 2, .queries = 197, .keys = 197, .head_dim = 64},
    {.batch = 1, .heads = 1, .queries = 30, .keys = 389, .head_dim = 80},
    {.batch = 1, .heads = 1, .queries = 103, .keys = 257, .head_dim = 128},
    {.batch = 1, .heads = 12, .queries = 49, .keys = 50, .head_dim = 24},  // a task packs its own
};

struct Int8Result {
  std::vector<float> o, lse;
  bool operator==(const Int8Result&) const = default;
};

Int8Result run_int8(Queue& queue, Data& data) {
  const AttentionShape& s = data.s;
  Int8Result r{.o = std::vector<float>(data.q.size()),
               .lse = std::vector<float>(s.batch * s.heads * s.queries)};
  attention(queue, data.args, {.o = data.view(r.o, s.queries), .lse = r.lse.data()},
            Tensor::empty({attention_workspace(s)}, DType::u8).raw());
  return r;
}

// Of each output: half a step of each weight, times how far its value lies from the mean.
std::vector<double> rounding_of_weights(const AttentionShape& s,
                                        const reference::AttentionInput& in,
                                        const reference::AttentionResult& expected) {
  std::vector<double> bound(expected.o.size());
  for (int64_t head = 0; head < s.batch * s.heads; ++head)
    for (int64_t c = 0; c < s.head_dim; ++c) {
      const double* v = &in.v[head * s.keys * s.head_dim + c];
      double mean = 0, spread = 0;
      for (int64_t j = 0; j < s.keys; ++j) mean += v[j * s.head_dim] / double(s.keys);
      for (int64_t j = 0; j < s.keys; ++j) spread += std::abs(v[j * s.head_dim] - mean);
      for (int64_t i = 0; i < s.queries; ++i) {
        const int64_t row = head * s.queries + i;
        const double* p = &expected.p[row * s.keys];
        bound[row * s.head_dim + c] = 0.5 / 255 * *std::max_element(p, p + s.keys) * spread * 1.01;
      }
    }
  return bound;
}

TEST(AttentionInt8, AgreesWithTheReferenceOfQuantizedOperands) {
  for_each_isa([](Queue& queue) {
    for (const AttentionShape& s : kShapes) {
      SCOPED_TRACE(::testing::Message()
                   << s.queries << " queries, " << s.keys << " keys of " << s.head_dim);
      Data data({.shape = s}, Precision::int8);
      const reference::AttentionInput input = reference::quantized_operands(data.input());
      const reference::AttentionResult expected = reference::attention(input);
      const Int8Result r = run_int8(queue, data);
      const double sums = 16 * sum_tolerance(s.head_dim + s.keys);
      EXPECT_LE(max_relative_error(r.lse, expected.lse), sums);
      const std::vector<double> bound = rounding_of_weights(s, input, expected);
      const std::vector<double> o = data.by_head(r.o, s.queries);
      for (size_t i = 0; i < o.size(); ++i)
        ASSERT_LE(std::abs(o[i] - expected.o[i]), bound[i] + sums) << "element " << i;
    }
  });
}

// And with what nobody rounded, as closely as 8 bits allow.
TEST(AttentionInt8, IsCloseToAttentionInFloats) {
  for_each_isa([](Queue& queue) {
    Data data({.shape = {.batch = 1, .heads = 2, .queries = 197, .keys = 197, .head_dim = 64}},
              Precision::int8);
    const reference::AttentionResult expected = reference::attention(data.input());
    EXPECT_LE(max_relative_error(data.by_head(run_int8(queue, data).o, 197), expected.o), 0.02);
  });
}

// What all keys have in common would use up the eight bits. It costs nothing: softmax does not see
// it, nor what all values have in common.
TEST(AttentionInt8, WhatAllTokensShareCostsNoAccuracy) {
  const Case c{.shape = {.batch = 1, .heads = 2, .queries = 60, .keys = 60, .head_dim = 32}};
  for_each_isa([&](Queue& queue) {
    Data data(c, Precision::int8);
    for (size_t i = 0; i < data.k.size(); ++i) {
      data.k[i] += i % 32 == 3 ? 100.0f : i % 32 == 9 ? -70.0f : 0.0f;
      data.v[i] += i % 32 == 5 ? 40.0f : 0.0f;
    }
    const reference::AttentionResult expected = reference::attention(data.input());
    const std::vector<double> o = data.by_head(run_int8(queue, data).o, 60);
    for (size_t i = 0; i < o.size(); ++i) EXPECT_NEAR(o[i], expected.o[i], 0.03);
  });
}

TEST(AttentionInt8, RowsAreThoseThatRan) {
  for_each_isa([](Queue& queue) {
    for (const AttentionShape& s : kShapes) {
      Data data({.shape = s}, Precision::int8);
      const reference::AttentionResult expected =
          reference::attention(reference::quantized_operands(data.input()));
      const Int8Result r = run_int8(queue, data);
      for (const int64_t step : {int64_t{1}, 1 + s.queries / 2}) {
        std::vector<int64_t> queries;
        for (int64_t i = 0; i < s.queries; i += step) queries.push_back(s.queries - 1 - i);
        const auto count = static_cast<int64_t>(queries.size());
        std::vector<float> rows(s.batch * s.heads * count * s.keys);
        attention_rows(
            queue, data.args,
            {.queries = queries.data(), .count = count, .lse = r.lse.data(), .rows = rows.data()});
        std::vector<double> p;
        for (int64_t head = 0; head < s.batch * s.heads; ++head)
          for (const int64_t query : queries)
            for (int64_t j = 0; j < s.keys; ++j)
              p.push_back(expected.p[(head * s.queries + query) * s.keys + j]);
        EXPECT_LE(max_relative_error(rows, p), 2e-5) << s.keys << " keys of " << s.head_dim;
        for (size_t row = 0; row < rows.size() / s.keys; ++row) {
          double sum = 0;
          for (int64_t j = 0; j < s.keys; ++j) sum += rows[row * s.keys + j];
          EXPECT_NEAR(sum, 1, 64 * kEpsilon);
        }
      }
    }
  });
}

// Neighbours: a bias, a mask, dropout and a negative scale have no 8 bits.
TEST(AttentionInt8, WhatHasNoInt8RunsInBf16) {
  const AttentionShape s{.batch = 2, .heads = 2, .queries = 20, .keys = 20, .head_dim = 16};
  const Case cases[] = {{.shape = s, .bias = true},
                        {.shape = s, .causal = true},
                        {.shape = s, .lengths = true},
                        {.shape = s, .dropout = 0.3f}};
  for_each_isa([&](Queue& queue) {
    for (const Case& c : cases) {
      Data data(c, Precision::bf16);
      const Int8Result bf16 = run_int8(queue, data);
      data.args.precision = Precision::int8;
      EXPECT_FALSE(attends_in_int8(data.args));
      EXPECT_TRUE(run_int8(queue, data) == bf16);
    }
    Data negative({.shape = s}, Precision::int8);
    EXPECT_TRUE(attends_in_int8(negative.args));
    negative.args.scale = -1;
    EXPECT_FALSE(attends_in_int8(negative.args));
  });
}

// Fifteen heads are tasks of their own for one thread, and shared out by panels among three.
TEST(AttentionInt8, NeitherThreadsNorTheBatchChangeAnElement) {
  Data data({.shape = {.batch = 3, .heads = 5, .queries = 130, .keys = 130, .head_dim = 40}},
            Precision::int8);
  expect_same_on_any_threads([&](Queue& queue) { return run_int8(queue, data); });
  Queue queue(2);
  const Int8Result whole = run_int8(queue, data);
  Data last = data;
  last.s.batch = last.args.shape.batch = 1;
  const int64_t offset = 2 * 130 * data.width;
  for (auto* x : {&last.q, &last.k, &last.v}) x->erase(x->begin(), x->begin() + offset);
  last.args.q = last.view(last.q, 130);
  last.args.k = last.view(last.k, 130);
  last.args.v = last.view(last.v, 130);
  const Int8Result alone = run_int8(queue, last);
  EXPECT_TRUE(std::equal(alone.o.begin(), alone.o.end(), whole.o.begin() + offset));
}

TEST(AttentionInt8, ValuesThatAreNotFiniteAreNotHidden) {
  for_each_isa([](Queue& queue) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const Case c{.shape = {.batch = 1, .heads = 1, .queries = 3, .keys = 20, .head_dim = 8}};
      Data query(c, Precision::int8), key(c, Precision::int8), value(c, Precision::int8);
      query.q[8] = bad;   // of the second query
      key.k[5] = bad;     // that every query sees
      value.v[12] = bad;  // of the fifth channel
      const std::vector<float> q = run_int8(queue, query).o, k = run_int8(queue, key).o,
                               v = run_int8(queue, value).o;
      for (int64_t i = 0; i < 24; ++i) {
        EXPECT_EQ(std::isnan(q[i]), i / 8 == 1);
        EXPECT_TRUE(std::isnan(k[i]));
        EXPECT_EQ(std::isfinite(v[i]), i % 8 != 4);
      }
    }
  });
}

TEST(AttentionInt8, ZerosAreNoTrouble) {
  for_each_isa([](Queue& queue) {
    Data data({.shape = {.batch = 1, .heads = 1, .queries = 5, .keys = 7, .head_dim = 8}},
              Precision::int8);
    std::ranges::fill(data.q, 0.0f);
    std::ranges::fill(data.k, 0.0f);
    const Int8Result r = run_int8(queue, data);
    for (const float lse : r.lse) EXPECT_NEAR(lse, std::log(7.0f), 1e-6);
    for (int64_t c = 0; c < 8; ++c) {
      float mean = 0;
      for (int64_t j = 0; j < 7; ++j) mean += data.v[j * 8 + c] / 7;
      for (int64_t i = 0; i < 5; ++i) EXPECT_NEAR(r.o[i * 8 + c], mean, 0.01);
    }
  });
}

}  // namespace
}  // namespace vitrail::kernels
