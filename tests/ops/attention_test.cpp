#include "ops/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "core/isa.h"
#include "ops/attention_probe.h"
#include "ops/tokens.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::max_relative_error;
using testing::Operands;

constexpr double kBf16Epsilon = 1.0 / 256;

AttentionOptions two_heads() {
  return {.heads = 2, .path = "blocks.3.attn"};
}

TEST(AttentionOp, GradientsMatchDifferences) {
  Operands fused({{2, 5, 24}});
  check_gradients(fused, [](const Context& context, const Operands& o) {
    return self_attention(context, o.inputs[0], two_heads());
  });
  Operands cross({{2, 3, 8}, {2, 7, 8}, {2, 7, 8}, {1, 2, 3, 7}});
  check_gradients(cross, [](const Context& context, const Operands& o) {
    AttentionOptions options = two_heads();
    options.bias = &o.inputs[3];
    return attention(context, o.inputs[0], o.inputs[1], o.inputs[2], options);
  });
}

// Heads of q and k of 3 values, of v of 5, together by head; apart they attend alike.
TEST(AttentionOp, ByHeadIsTheSameAsApart) {
  constexpr int64_t kOwnHeads = 2, kKey = 3, kValue = 5, kQueries = 4, kTokens = 6;
  const auto part = [&](const Context& context, const Variable& x, int64_t begin, int64_t end) {
    const int64_t step = x.size(2) / kOwnHeads;
    const Variable heads = reshape(context, x, {x.size(0), x.size(1), kOwnHeads, step});
    return reshape(context, slice(context, heads, 3, begin, end),
                   {x.size(0), x.size(1), kOwnHeads * (end - begin)});
  };
  Operands o({{2, kTokens, kOwnHeads * (2 * kKey + kValue)},
              {2, kQueries, kOwnHeads * kKey},
              {2, kTokens, kOwnHeads * (kKey + kValue)}});
  check_gradients(o, [](const Context& context, const Operands& in) {
    const std::array both{
        self_attention_by_head(context, in.inputs[0], {kKey, kValue}, two_heads()),
        cross_attention_by_head(context, in.inputs[1], in.inputs[2], {kKey, kValue}, two_heads())};
    return concatenate(context, both, 1);
  });
  Queue queue(1);
  const Context context(queue);
  const Variable &qkv = o.inputs[0], &q = o.inputs[1], &kv = o.inputs[2];
  const auto expect_equal = [](const Variable& a, const Variable& b) {
    ASSERT_EQ(a.shape(), b.shape());
    EXPECT_TRUE(std::ranges::equal(a.value().values(), b.value().values()));
  };
  expect_equal(self_attention_by_head(context, qkv, {kKey, kValue}, two_heads()),
               attention(context, part(context, qkv, 0, kKey), part(context, qkv, kKey, 2 * kKey),
                         part(context, qkv, 2 * kKey, 2 * kKey + kValue), two_heads()));
  expect_equal(cross_attention_by_head(context, q, kv, {kKey, kValue}, two_heads()),
               attention(context, q, part(context, kv, 0, kKey),
                         part(context, kv, kKey, kKey + kValue), two_heads()));
  EXPECT_THROW(self_attention_by_head(context, qkv, {6, 5}, two_heads()), Error);
  EXPECT_THROW(cross_attention_by_head(context, q, q, {kKey, kValue}, two_heads()), Error);
}

struct Pass {
  Tensor output, gradient;
};

Pass pass(const PrecisionPlan* plan) {
  Operands o({{2, 37, 3 * 2 * 24}});
  Queue queue(1);
  Context context(queue);
  context.precision = plan;
  Tape tape;
  context.tape = &tape;
  const Variable y = self_attention(context, o.inputs[0], two_heads());
  const Tensor output = y.value().clone();
  tape.backward(queue, y, testing::random_tensor(y.shape(), 99));
  return {.output = output, .gradient = o.inputs[0].gradient()};
}

// Forward and backward follow the plan of the attention's own path, recorded or not.
TEST(AttentionOp, ThePlanGivesThePrecision) {
  const Pass exact = pass(nullptr);
  const auto equal = [](const Tensor& a, const Tensor& b) {
    return std::ranges::equal(a.values(), b.values());
  };
  PrecisionPlan elsewhere;
  elsewhere.layers["blocks.3.attn.qkv"] = Precision::int8;
  elsewhere.layers["blocks.30"] = Precision::bf16;
  EXPECT_TRUE(equal(pass(&elsewhere).output, exact.output));

  PrecisionPlan bf16{.base = Precision::bf16};
  const Pass rounded = pass(&bf16);
  const bool rounds = active_isa().ends_with("avx512_bf16");  // else bf16 is f32 here
  for (const auto part : {&Pass::output, &Pass::gradient}) {
    const double error = max_relative_error((rounded.*part).values(), (exact.*part).values());
    EXPECT_EQ(error > kBf16Epsilon / 64, rounds);
    EXPECT_LT(error, 4 * kBf16Epsilon);
  }
  PrecisionPlan int8;
  int8.layers["blocks.3"] = Precision::int8;
  EXPECT_TRUE(equal(pass(&int8).output, rounded.output));
  EXPECT_TRUE(equal(pass(&int8).gradient, rounded.gradient));

  Operands o({{2, 37, 3 * 2 * 24}});
  Queue queue(1);
  Context context(queue);
  context.precision = &bf16;
  EXPECT_TRUE(equal(self_attention(context, o.inputs[0], two_heads()).value(), rounded.output));
}

TEST(AttentionOp, ProbedRowsBelongToThePassThatRan) {
  Operands o({{1, 37, 3 * 2 * 24}});
  const PrecisionPlan bf16{.base = Precision::bf16};
  const AttentionProbe::Request request{.queries = {0, 5}, .keep = true};
  AttentionProbe probe(request);
  Queue queue(1);
  Context context(queue);
  context.precision = &bf16;
  context.probe = &probe;
  self_attention(context, o.inputs[0], two_heads());
  std::vector<int64_t> all(37);
  for (int64_t i = 0; i < 37; ++i) all[i] = i;
  for (const Tensor& rows :
       {probe.record("blocks.3.attn").rows, probe.rows(queue, "blocks.3.attn", all)})
    for (int64_t row = 0; row < rows.numel() / 37; ++row) {
      double sum = 0;
      for (int64_t j = 0; j < 37; ++j) sum += rows.f32()[row * 37 + j];
      EXPECT_NEAR(sum, 1, 16 * testing::kEpsilon);
    }
}

TEST(AttentionOp, RefusesShapesThatDoNotFit) {
  Operands o({{2, 5, 25}, {2, 5, 24}, {2, 4, 24}, {2, 2, 5, 3}});
  Queue queue(1);
  const Context context(queue);
  EXPECT_THROW(self_attention(context, o.inputs[0], two_heads()), Error);
  EXPECT_THROW(attention(context, o.inputs[1], o.inputs[1], o.inputs[2], two_heads()), Error);
  AttentionOptions biased = two_heads();
  biased.bias = &o.inputs[3];
  EXPECT_THROW(self_attention(context, o.inputs[1], biased), Error);
}

}  // namespace
}  // namespace vitrail
