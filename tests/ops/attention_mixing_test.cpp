// Attention of mixed heads and over channels as operations: gradients against differences, the
// chain that is recorded against the kernel, and what a probe finds.
#include <gtest/gtest.h>

#include "ops/attention.h"
#include "ops/attention_probe.h"
#include "ops/channel_attention.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::max_relative_error;
using testing::Operands;
using testing::random_tensor;

constexpr const char* kMixedPath = "blocks.1.attn";

// q, k and v, then what mixes two heads. A bias of scores moves whole rows, which softmax does not
// see: it has no gradient to compare.
AttentionOptions mixing_of(const Operands& o) {
  AttentionOptions options{.heads = 2, .path = kMixedPath};
  options.mixing = {.before = o.inputs[1],
                    .before_bias = Variable(Tensor::full({2}, 0.75f)),
                    .after = o.inputs[2],
                    .after_bias = o.inputs[3]};
  return options;
}
Operands mixed_operands() {
  return Operands({{2, 5, 24}, {2, 2}, {2, 2}, {2}});
}

TEST(MixedAttentionOp, GradientsOfTalkingHeadsMatchDifferences) {
  Operands operands = mixed_operands();
  check_gradients(operands, [](const Context& context, const Operands& o) {
    return self_attention(context, o.inputs[0], mixing_of(o));
  });
}

TEST(MixedAttentionOp, GradientsOfReattentionMatchDifferences) {
  Operands operands({{2, 5, 24}, {2, 2}}, {{2}, {2}});
  check_gradients(operands, [](const Context& context, const Operands& o) {
    const LayerNormWeights norm{*o.parameters[0], o.parameters[1].get(), 0.1};
    AttentionOptions options{.heads = 2, .path = kMixedPath};
    options.mixing = {.after = o.inputs[1], .norm = &norm};
    return self_attention(context, o.inputs[0], options);
  });
}

TEST(MixedAttentionOp, AClassTokenAsksAllKeys) {
  Operands operands({{2, 1, 8}, {2, 6, 16}, {2, 2}, {2, 2}});
  check_gradients(operands, [](const Context& context, const Operands& o) {
    AttentionOptions options{.heads = 2, .path = kMixedPath};
    options.mixing = {.before = o.inputs[2], .after = o.inputs[3]};
    return cross_attention(context, o.inputs[0], o.inputs[1], options);
  });
}

// The weights that dropout leaves, before they are mixed and after.
TEST(MixedAttentionOp, DropoutHasItsGradient) {
  for (const bool before : {false, true}) {
    Operands operands = mixed_operands();
    Queue queue(1);
    Context dropping(queue);
    dropping.dropout = true;
    dropping.random = {7, 3};
    check_gradients(
        operands,
        [before](const Context& context, const Operands& o) {
          AttentionOptions options = mixing_of(o);
          options.dropout = 0.4;
          options.mixing.drops_before = before;
          return self_attention(context, o.inputs[0], options);
        },
        2e-3, &dropping);
  }
}

// Rows are the weights that values are multiplied by, in training and in inference; with values
// that are the identity the output shows them.
TEST(MixedAttentionOp, AProbeFindsTheMixedWeights) {
  Operands operands({{1, 4, 8}, {1, 4, 8}, {2, 2}, {2}, {2, 2}, {2}});
  Tensor identity = Tensor::zeros({1, 4, 8});
  for (int64_t n = 0; n < 4; ++n)
    for (int64_t h = 0; h < 2; ++h) identity.f32()[n * 8 + h * 4 + n] = 1;
  Queue queue(1);
  for (const bool training : {false, true}) {
    Tape tape;
    AttentionProbe probe({.all_queries = true, .keep = true});
    Context context(queue);
    context.probe = &probe;
    if (training) context.tape = &tape;
    AttentionOptions options{.heads = 2, .path = kMixedPath};
    options.mixing = {.before = operands.inputs[2],
                      .before_bias = operands.inputs[3],
                      .after = operands.inputs[4],
                      .after_bias = operands.inputs[5]};
    const Variable y =
        attention(context, operands.inputs[0], operands.inputs[1], Variable(identity), options);
    const AttentionRecord& record = probe.record(kMixedPath);
    std::vector<float> shown;
    for (int64_t h = 0; h < 2; ++h)
      for (int64_t n = 0; n < 4; ++n)
        for (int64_t j = 0; j < 4; ++j) shown.push_back(y.value().f32()[n * 8 + h * 4 + j]);
    EXPECT_LT(max_relative_error(record.rows.values(), shown), 1e-6);
    EXPECT_LT(max_relative_error(probe.rows(queue, kMixedPath, {2}).values().first(4),
                                 std::span(shown).subspan(8, 4)),
              1e-6);
    if (!training) continue;
    const Tensor weights = random_tensor(y.shape(), 5);
    tape.backward(queue, y, weights.clone());
    // d(loss)/d(weight of key j) is the gradient of the output at the place that value j fills.
    EXPECT_LT(max_relative_error(probe.row_gradients(queue, kMixedPath, {2}).values().first(4),
                                 weights.values().subspan(16, 4)),
              1e-6);
  }
}

TEST(MixedAttentionOp, RefusesWhatItDoesNotMix) {
  Operands operands = mixed_operands();
  Queue queue(1);
  const Context context(queue);
  AttentionOptions options = mixing_of(operands);
  options.causal = true;
  EXPECT_THROW(self_attention(context, operands.inputs[0], options), Error);
  options = mixing_of(operands);
  options.mixing.after = operands.inputs[3];
  EXPECT_THROW(self_attention(context, operands.inputs[0], options), Error);
}

TEST(ChannelAttentionOp, GradientsMatchDifferences) {
  Operands operands({{2, 5, 18}, {2}});
  check_gradients(operands, [](const Context& context, const Operands& o) {
    return channel_attention(context, o.inputs[0], o.inputs[1], {.heads = 2, .path = "attn"});
  });
  Queue queue(1);
  Context dropping(queue);
  dropping.dropout = true;
  dropping.random = {7, 3};
  Operands dropped({{2, 5, 18}, {2}});
  check_gradients(
      dropped,
      [](const Context& context, const Operands& o) {
        return channel_attention(context, o.inputs[0], o.inputs[1],
                                 {.heads = 2, .dropout = 0.3, .path = "attn"});
      },
      2e-3, &dropping);
}

TEST(ChannelAttentionOp, RefusesOperandsThatDoNotFit) {
  Operands operands({{2, 5, 18}, {3}, {2, 5, 20}});
  Queue queue(1);
  const Context context(queue);
  const auto run = [&](size_t qkv, size_t temperature) {
    return channel_attention(context, operands.inputs[qkv], operands.inputs[temperature],
                             {.heads = 2, .path = "attn"});
  };
  EXPECT_THROW(run(0, 1), Error);
  EXPECT_THROW(run(2, 1), Error);
}

}  // namespace
}  // namespace vitrail
