#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/attention_data.h"
#include "kernels/isa.h"
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
using vitrail::testing::numeric_gradient;
using vitrail::testing::sum_tolerance;
using vitrail::testing::to_double;

// One, odd and block-crossing numbers of tokens; head sizes with tails; queries unlike keys.
const Case kCases[] = {
    {{.batch = 1, .heads = 1, .queries = 1, .keys = 1, .head_dim = 1}},
    {{.batch = 2, .heads = 3, .queries = 17, .keys = 17, .head_dim = 8}},
    {{.batch = 1, .heads = 2, .queries = 65, .keys = 65, .head_dim = 33}, true},
    {{.batch = 2, .heads = 2, .queries = 5, .keys = 203, .head_dim = 16}, true},
    {{.batch = 2, .heads = 1, .queries = 50, .keys = 50, .head_dim = 24}, false, true},
    {{.batch = 2, .heads = 2, .queries = 49, .keys = 197, .head_dim = 64}, true, false, true},
    {{.batch = 1, .heads = 2, .queries = 197, .keys = 197, .head_dim = 64}},
    {{.batch = 1, .heads = 1, .queries = 30, .keys = 389, .head_dim = 80}},
    {{.batch = 2, .heads = 1, .queries = 67, .keys = 67, .head_dim = 32}, true, true, true},
    {{.batch = 1, .heads = 2, .queries = 131, .keys = 131, .head_dim = 48}, false, true},
    {{.batch = 1, .heads = 1, .queries = 103, .keys = 257, .head_dim = 128}, true},
    {{.batch = 2, .heads = 1, .queries = 53, .keys = 301, .head_dim = 72}, false, false, true},
    {{.batch = 1, .heads = 2, .queries = 40, .keys = 99, .head_dim = 5}},
    {{.batch = 2, .heads = 2, .queries = 21, .keys = 38, .head_dim = 7}, true, false, false, 0.3f},
};

// Half of bf16's epsilon: what rounding changes at most.
constexpr double kBf16Rounding = 1.0 / 512;

struct Result {
  std::vector<float> o, lse, dq, dk, dv, dbias;
  bool operator==(const Result&) const = default;
};

Result run(Queue& queue, Data& data) {
  const AttentionShape& s = data.s;
  Result r{.o = std::vector<float>(data.q.size()),
           .lse = std::vector<float>(s.batch * s.heads * s.queries),
           .dq = std::vector<float>(data.q.size()),
           .dk = std::vector<float>(data.k.size()),
           .dv = std::vector<float>(data.v.size()),
           .dbias = std::vector<float>(data.bias.size())};
  attention(queue, data.args, {.o = data.view(r.o, s.queries), .lse = r.lse.data()},
            Tensor::empty({attention_workspace(s)}, DType::u8).raw());
  attention_backward(queue, data.args,
                     {.o = data.view(r.o, s.queries),
                      .d_o = data.view(data.d_o, s.queries),
                      .lse = r.lse.data(),
                      .dq = data.view(r.dq, s.queries),
                      .dk = data.view(r.dk, s.keys),
                      .dv = data.view(r.dv, s.keys),
                      .bias = {.dense = r.dbias.empty() ? nullptr : r.dbias.data()}},
                     Tensor::empty({attention_backward_workspace(queue, s)}, DType::u8).raw());
  return r;
}

// `rounding`: of P and dS, which the oracle does not round. Terms are of either sign, so a sum is
// off by as much of itself as one term is, and the largest of many sums by a few times that.
void expect_reference(Queue& queue, const Case& c, Precision precision, double rounding) {
  SCOPED_TRACE(::testing::Message() << name_of(precision) << ", " << c.shape.queries << " queries, "
                                    << c.shape.keys << " keys of " << c.shape.head_dim);
  Data data(c, precision);
  const AttentionShape& s = data.s;
  const reference::AttentionInput input = data.input();
  const reference::AttentionResult expected = reference::attention(input);
  const reference::AttentionGradients gradients =
      reference::attention_backward(input, data.d_o_by_head());
  const Result r = run(queue, data);
  // Scores of size about d carry their own rounding into the exponent.
  const double sums = 16 * sum_tolerance(s.head_dim + s.keys);
  const double bound = sums + 4 * rounding;
  EXPECT_LE(max_relative_error(data.by_head(r.o, s.queries), expected.o), bound);
  EXPECT_LE(max_relative_error(r.lse, expected.lse), sums);
  EXPECT_LE(max_relative_error(data.by_head(r.dq, s.queries), gradients.dq), 4 * bound);
  EXPECT_LE(max_relative_error(data.by_head(r.dk, s.keys), gradients.dk), 4 * bound);
  EXPECT_LE(max_relative_error(data.by_head(r.dv, s.keys), gradients.dv), 4 * bound);
  if (!c.bias) return;
  std::vector<double> dbias(r.dbias.size());
  for (size_t i = 0; i < gradients.dbias.size(); ++i) dbias[i % dbias.size()] += gradients.dbias[i];
  EXPECT_LE(max_relative_error(r.dbias, dbias), 4 * bound);
}

TEST(Attention, ForwardAndBackwardAgreeWithTheReference) {
  for_each_isa([](Queue& queue) {
    for (const Case& c : kCases) {
      expect_reference(queue, c, Precision::f32, 0);
      expect_reference(queue, c, Precision::bf16, kBf16Rounding);
    }
  });
}

// With dot products bf16 is the arithmetic of rounded operands, without them it is f32's.
TEST(Attention, Bf16RoundsWhatDotProductsTakeAndNothingElse) {
  const Case c{{.batch = 2, .heads = 2, .queries = 37, .keys = 41, .head_dim = 24}};
  for_each_isa([&](Queue& queue) {
    Data data(c), exact(c, Precision::bf16);
    const Result f32 = run(queue, data), of_rounded = run(queue, exact);
    data.args.precision = Precision::bf16;
    const bool rounds = active_isa().ends_with("avx512_bf16");
    EXPECT_TRUE(run(queue, data) == (rounds ? of_rounded : f32));
  });
}

// The oracle's own gradients against central differences.
TEST(Attention, ReferenceGradientIsTheDerivative) {
  Data data({{.batch = 1, .heads = 2, .queries = 3, .keys = 5, .head_dim = 4}, true});
  const reference::AttentionInput input = data.input();
  const std::vector<double> d_o = data.by_head(data.d_o, 3);
  const auto loss = [&](const reference::AttentionInput& in) {
    const std::vector<double> o = reference::attention(in).o;
    double sum = 0;
    for (size_t i = 0; i < o.size(); ++i) sum += o[i] * d_o[i];
    return sum;
  };
  const reference::AttentionGradients expected = reference::attention_backward(input, d_o);
  const auto derivative = [&](std::vector<double> reference::AttentionInput::*field) {
    return numeric_gradient(
        [&](const std::vector<double>& x) {
          reference::AttentionInput in = input;
          in.*field = x;
          return loss(in);
        },
        input.*field);
  };
  EXPECT_LE(max_relative_error(derivative(&reference::AttentionInput::q), expected.dq), 1e-7);
  EXPECT_LE(max_relative_error(derivative(&reference::AttentionInput::k), expected.dk), 1e-7);
  EXPECT_LE(max_relative_error(derivative(&reference::AttentionInput::v), expected.dv), 1e-7);
  EXPECT_LE(max_relative_error(derivative(&reference::AttentionInput::bias), expected.dbias), 1e-7);
}

void expect_exact_rows(Queue& queue, const Case& c, Precision precision, int64_t step) {
  Data data(c, precision);
  const AttentionShape& s = data.s;
  const reference::AttentionResult expected = reference::attention(data.input());
  const Result r = run(queue, data);
  std::vector<int64_t> queries;
  for (int64_t i = 0; i < s.queries; i += step) queries.push_back(s.queries - 1 - i);
  const auto count = static_cast<int64_t>(queries.size());
  std::vector<float> rows(s.batch * s.heads * count * s.keys), gradients = rows;
  const AttentionRows request{
      .queries = queries.data(), .count = count, .lse = r.lse.data(), .rows = rows.data()};
  attention_rows(queue, data.args, request);
  AttentionRows gradient_request = request;
  gradient_request.rows = gradients.data();
  attention_row_gradients(queue, data.args, data.view(data.d_o, s.queries), gradient_request);
  const std::vector<double> v = data.by_head(data.v, s.keys);
  const std::vector<double> d_o = data.by_head(data.d_o, s.queries);
  std::vector<double> p, dp;
  for (int64_t head = 0; head < s.batch * s.heads; ++head)
    for (const int64_t query : queries)
      for (int64_t j = 0; j < s.keys; ++j) {
        const int64_t row = head * s.queries + query;
        p.push_back(expected.p[row * s.keys + j]);
        double sum = 0;
        for (int64_t i = 0; i < s.head_dim; ++i)
          sum += d_o[row * s.head_dim + i] * v[(head * s.keys + j) * s.head_dim + i];
        dp.push_back(sum);
      }
  EXPECT_LE(max_relative_error(rows, p), 1e-5);
  EXPECT_LE(max_relative_error(gradients, dp), 4 * sum_tolerance(s.head_dim));
  // Each sums to one as closely as lse, a float of the scores' size, can say.
  for (size_t row = 0; row < rows.size() / s.keys; ++row) {
    double sum = 0;
    for (int64_t j = 0; j < s.keys; ++j) sum += rows[row * s.keys + j];
    EXPECT_NEAR(sum, 1, 64 * kEpsilon);
  }
}

TEST(Attention, RowsAndTheirGradientsAreExact) {
  for_each_isa([](Queue& queue) {
    for (const Case& c : kCases)
      for (const Precision precision : {Precision::f32, Precision::bf16}) {
        SCOPED_TRACE(::testing::Message() << name_of(precision) << ", " << c.shape.keys << " keys");
        expect_exact_rows(queue, c, precision, 3);
        expect_exact_rows(queue, c, precision, 1 + c.shape.queries / 2);  // too few to pack
      }
  });
}

TEST(Attention, AQueryThatSeesNothingGetsZerosAndNoGradient) {
  Data data({{.batch = 1, .heads = 1, .queries = 4, .keys = 4, .head_dim = 8}, false, false, true});
  data.lengths[0] = 0;
  Queue queue(1);
  const Result r = run(queue, data);
  for (const auto* values : {&r.o, &r.dq, &r.dk, &r.dv})
    for (const float x : *values) EXPECT_EQ(x, 0.0f);
  for (const float x : r.lse) EXPECT_EQ(x, -std::numeric_limits<float>::infinity());
}

// Fifteen heads are tasks of their own for one thread, and shared out by panels among three.
TEST(Attention, NeitherThreadsNorTheBatchChangeAnElement) {
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    Data data({{.batch = 3, .heads = 5, .queries = 130, .keys = 130, .head_dim = 40}, true},
              precision);
    expect_same_on_any_threads([&](Queue& queue) { return run(queue, data); });
    Queue queue(2);
    const Result whole = run(queue, data);
    Data last = data;
    last.s.batch = last.args.shape.batch = 1;
    const int64_t offset = 2 * 130 * data.width;
    for (auto* x : {&last.q, &last.k, &last.v, &last.d_o})
      x->erase(x->begin(), x->begin() + offset);
    last.args.q = last.view(last.q, 130);
    last.args.k = last.view(last.k, 130);
    last.args.v = last.view(last.v, 130);
    last.args.bias.dense = last.bias.data();
    const Result alone = run(queue, last);
    EXPECT_TRUE(std::equal(alone.o.begin(), alone.o.end(), whole.o.begin() + offset));
    EXPECT_TRUE(std::equal(alone.dk.begin(), alone.dk.end(), whole.dk.begin() + offset));
  }
}

TEST(Attention, ANaNIsPassedOn) {
  for_each_isa([](Queue& queue) {
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      Data data({{.batch = 1, .heads = 1, .queries = 3, .keys = 20, .head_dim = 8}}, precision);
      data.q[8] = std::numeric_limits<float>::quiet_NaN();  // of the second query
      const Result r = run(queue, data);
      for (int64_t i = 0; i < 24; ++i) EXPECT_EQ(std::isnan(r.o[i]), i / 8 == 1);
    }
  });
}

}  // namespace
}  // namespace vitrail::kernels
