// Terms, windows and transforms of attention as an operation: gradients against differences, and
// what the descriptions describe.
#include "ops/attention_terms.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/attention.h"
#include "ops/attention_probe.h"
#include "ops/tokens.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using kernels::HeadNormKind;
using testing::check_gradients;
using testing::max_relative_error;
using testing::Operands;

AttentionOptions of_two_heads() {
  return {.heads = 2, .path = "blocks.1.attn"};
}

// Queries, keys and values of a 2 x 3 grid, and what is learned beside them.
void check_term(const std::vector<Shape>& learned,
                const std::function<void(const Context&, std::span<const Variable>,
                                         AttentionOptions*)>& describe,
                int64_t tokens = 6) {
  std::vector<Shape> shapes{{4, tokens, 24}};
  shapes.insert(shapes.end(), learned.begin(), learned.end());
  Operands operands(shapes);
  check_gradients(operands, [&](const Context& context, const Operands& o) {
    AttentionOptions options = of_two_heads();
    describe(context, std::span(o.inputs).subspan(1), &options);
    return self_attention(context, o.inputs[0], options);
  });
}

TEST(AttentionTermsOp, GradientsOfBiasesMatchDifferences) {
  using Learned = std::span<const Variable>;
  check_term({{4, 1, 6}},
             [](const Context&, Learned x, AttentionOptions* o) { o->key_bias = x[0]; });
  check_term({{15, 2}}, [](const Context&, Learned x, AttentionOptions* o) {
    o->relative = {.table = x[0], .index = relative_grid(2, 3)};
  });
  check_term(
      {{18, 2}},
      [](const Context&, Learned x, AttentionOptions* o) {
        o->relative = {.table = x[0], .index = relative_grid(2, 3, 1)};
      },
      7);
  check_term({{3, 4}, {5, 4}}, [](const Context&, Learned x, AttentionOptions* o) {
    o->decomposed = {.rows = x[0], .columns = x[1], .height = 2, .width = 3};
  });
  check_term(
      {{2}},
      [](const Context&, Learned x, AttentionOptions* o) {
        const Tensor places = grid_places(2, 3, 1);
        o->distance = {.slopes = x[0], .query_places = places, .key_places = places, .prefix = 1};
      },
      7);
  check_term({{1, 2, 6, 6}, {15, 2}}, [](const Context&, Learned x, AttentionOptions* o) {
    o->bias = &x[0];
    o->relative = {.table = x[1], .index = relative_grid(2, 3)};
    o->causal = true;
  });
}

TEST(AttentionTermsOp, GradientsOfTransformsMatchDifferences) {
  using Learned = std::span<const Variable>;
  for (const HeadNormKind kind : {HeadNormKind::layer, HeadNormKind::rms})
    check_term({{4}, {4}, {4}}, [kind](const Context&, Learned x, AttentionOptions* o) {
      o->q_norm = {.kind = kind, .weight = x[0], .bias = x[1], .epsilon = 1e-3};
      o->k_norm = {.kind = kind, .weight = x[2], .epsilon = 1e-3};
    });
  check_term({{2}}, [](const Context& context, Learned x, AttentionOptions* o) {
    o->q_norm = {
        .kind = HeadNormKind::l2, .gain = exponential_gain(context, x[0], 0.2), .epsilon = 1e-12};
    o->k_norm = {.kind = HeadNormKind::l2, .epsilon = 1e-12};
    o->scale = 1;
  });
  for (const bool interleaved : {false, true})
    check_term(
        {{2, 2, 2}, {4}},
        [interleaved](const Context& context, Learned x, AttentionOptions* o) {
          o->q_norm = {.kind = HeadNormKind::layer, .weight = x[1], .epsilon = 1e-3};
          o->q_rotary = o->k_rotary =
              rotary_positions(rotary_angles(context, grid_places(2, 3), x[0]), 1, interleaved);
        },
        7);
}

TEST(AttentionTermsOp, GradientsOfWindowsMatchDifferences) {
  // Three rows of four, in shifted windows of two by three: padded below and on the right.
  for (const bool rolls_first : {false, true}) {
    const AttentionWindows windows = windows_of_grid({.grid_height = 3,
                                                      .grid_width = 4,
                                                      .window_height = 2,
                                                      .window_width = 3,
                                                      .shift_height = 1,
                                                      .shift_width = 1,
                                                      .rolls_first = rolls_first});
    EXPECT_EQ(windows.windows, 4);
    check_term(
        {{24}, {15, 2}},
        [&](const Context&, std::span<const Variable> x, AttentionOptions* o) {
          o->windows = &windows;
          o->padding = x[0];
          o->relative = {.table = x[1], .index = relative_grid(2, 3)};
        },
        12);
  }
}

// Queries pooled to half a grid's sides look at the windows that they were pooled from.
TEST(AttentionTermsOp, PooledQueriesHaveWindowsOfTheirOwn) {
  const AttentionWindows keys =
      windows_of_grid({.grid_height = 2, .grid_width = 8, .window_height = 2, .window_width = 4});
  const AttentionWindows queries =
      windows_of_grid({.grid_height = 1, .grid_width = 4, .window_height = 1, .window_width = 2});
  Operands o({{2, 4, 8}, {2, 16, 16}});
  const auto attend = [&](const Context& context, const Operands& in) {
    AttentionOptions options = of_two_heads();
    options.windows = &keys;
    options.query_windows = &queries;
    return cross_attention(context, in.inputs[0], in.inputs[1], options);
  };
  check_gradients(o, attend);
  Queue queue(1);
  const Context context(queue);
  const Tensor y = attend(context, o).value();
  for (int64_t window = 0; window < 2; ++window) {
    const Variable q = slice(context, o.inputs[0], 1, 2 * window, 2 * window + 2);
    const Variable kv = reshape(context, o.inputs[1], {4, 8, 16});  // a row of the grid each
    const Variable half =
        reshape(context, slice(context, kv, 1, 4 * window, 4 * window + 4), {2, 8, 16});
    const Tensor alone = cross_attention(context, q, half, of_two_heads()).value();
    const Tensor part = slice(context, Variable(y), 1, 2 * window, 2 * window + 2).value();
    EXPECT_TRUE(std::ranges::equal(part.values(), alone.values()));
  }
}

TEST(AttentionTermsOp, KeysAndValuesOfOneProjectionAreReadInPlace) {
  Operands together({{2, 3, 8}, {2, 5, 16}});
  check_gradients(together, [](const Context& context, const Operands& o) {
    return cross_attention(context, o.inputs[0], o.inputs[1], of_two_heads());
  });
  Queue queue(1);
  const Context context(queue);
  const Variable kv = together.inputs[1];
  const Tensor apart = attention(context, together.inputs[0], slice(context, kv, 2, 0, 8),
                                 slice(context, kv, 2, 8, 16), of_two_heads())
                           .value();
  const Tensor fused = cross_attention(context, together.inputs[0], kv, of_two_heads()).value();
  EXPECT_TRUE(std::ranges::equal(apart.values(), fused.values()));
}

// Windows by the book: the grid is padded and rolled, and cut.
TEST(AttentionWindows, AreThoseOfARolledAndPaddedGrid) {
  for (const bool rolls_first : {false, true})
    for (const int64_t shift : {0, 2}) {
      const WindowGrid grid{.grid_height = 5,
                            .grid_width = 7,
                            .window_height = 3,
                            .window_width = 4,
                            .shift_height = shift / 2,
                            .shift_width = shift,
                            .rolls_first = rolls_first};
      const AttentionWindows windows = windows_of_grid(grid);
      ASSERT_EQ(windows.windows, 4);
      ASSERT_EQ(windows.tokens, 12);
      // -1 where the padded grid has no token.
      std::vector<std::vector<int>> plane(6, std::vector<int>(8, -1));
      const auto fill = [&](bool rolled) {
        for (int y = 0; y < 5; ++y)
          for (int x = 0; x < 7; ++x)
            plane[y][x] =
                rolled
                    ? static_cast<int>((y + grid.shift_height) % 5 * 7 + (x + grid.shift_width) % 7)
                    : y * 7 + x;
      };
      fill(rolls_first);
      for (int64_t at = 0; at < 48; ++at) {
        const int64_t window = at / 12, token = at % 12;
        int64_t y = window / 2 * 3 + token / 4, x = window % 2 * 4 + token % 4;
        const int32_t group = shift == 0 ? 0
                                         : static_cast<int32_t>(3 * (y < 3   ? 0
                                                                     : y < 5 ? 1
                                                                             : 2) +
                                                                (x < 4   ? 0
                                                                 : x < 6 ? 1
                                                                         : 2));
        if (shift > 0) {
          EXPECT_EQ(windows.groups.data<int32_t>()[at], group);
        }
        if (!rolls_first) y = (y + grid.shift_height) % 6, x = (x + grid.shift_width) % 8;
        EXPECT_EQ(windows.rows.data<int32_t>()[at], plane[y][x]);
      }
      EXPECT_EQ(windows.groups.defined(), shift > 0);
      for (int64_t token = 0; token < 35; ++token) {
        const auto place = windows.place_of(token);
        EXPECT_EQ(windows.rows.data<int32_t>()[place.window * 12 + place.token], token);
      }
      EXPECT_THROW((void)windows.place_of(35), Error);
    }
  EXPECT_THROW(windows_of_grid({.grid_height = 4, .grid_width = 4}), Error);
  EXPECT_THROW(windows_of_grid({.grid_height = 4,
                                .grid_width = 4,
                                .window_height = 2,
                                .window_width = 2,
                                .shift_height = 2}),
               Error);
}

TEST(RelativeIndex, HasAnEntryForEachOffsetAndThreeForThePrefix) {
  const RelativeIndex index = relative_grid(2, 3, 1);
  EXPECT_EQ(index.entries, 3 * 5 + 3);
  const auto entry = [&](int64_t i, int64_t j) {
    return index.query_entry.data<int32_t>()[i] - index.key_entry.data<int32_t>()[j];
  };
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = 0; j < 6; ++j)
      EXPECT_EQ(entry(1 + i, 1 + j), (i / 3 - j / 3 + 1) * 5 + (i % 3 - j % 3 + 2));
  EXPECT_EQ(relative_grid(2, 3, 1, false).entries, 15);
  Tensor bad = Tensor::zeros({2, 2}, DType::i32);
  bad.data<int32_t>()[3] = 4;
  EXPECT_THROW(relative_index(bad, 4), Error);
  EXPECT_NO_THROW(relative_index(bad, 5));
}

// Rows of a window's query over its keys are those of a softmax written out.
TEST(AttentionTermsOp, ProbedRowsOfWindowsAreTheSoftmax) {
  const AttentionWindows windows = windows_of_grid({.grid_height = 3,
                                                    .grid_width = 5,
                                                    .window_height = 2,
                                                    .window_width = 2,
                                                    .shift_height = 1,
                                                    .shift_width = 1,
                                                    .penalty = -100});
  Operands o({{2, 15, 3 * 8}, {24}, {9, 2}, {2}});
  AttentionProbe probe({.queries = {1}, .keep = true});
  Queue queue(2);
  Context context(queue);
  context.probe = &probe;
  Tape tape;
  context.tape = &tape;
  AttentionOptions options = of_two_heads();
  options.windows = &windows;
  options.padding = o.inputs[1];
  options.relative = {.table = o.inputs[2], .index = relative_grid(2, 2)};
  options.q_norm = {.kind = HeadNormKind::l2, .gain = o.inputs[3]};
  options.k_norm = {.kind = HeadNormKind::l2};
  options.scale = 1;
  const Variable y = self_attention(context, o.inputs[0], options);
  const Tensor rows = probe.rows(queue, "blocks.1.attn", {0, 1, 2, 3});
  ASSERT_EQ(rows.shape(), (Shape{2 * windows.windows, 2, 4, 4}));
  const auto value = [&](int64_t sample, int64_t row, int64_t column) {
    return row < 0 ? o.inputs[1].value().f32()[column]
                   : o.inputs[0].value().f32()[(sample * 15 + row) * 24 + column];
  };
  const auto unit = [&](int64_t sample, int64_t row, int64_t column) {
    std::vector<double> x;
    double squares = 0;
    for (int64_t i = 0; i < 4; ++i) x.push_back(value(sample, row, column + i));
    for (const double v : x) squares += v * v;
    for (double& v : x) v /= std::sqrt(squares);
    return x;
  };
  for (int64_t b = 0; b < rows.size(0); ++b)
    for (int64_t h = 0; h < 2; ++h)
      for (int64_t i = 0; i < 4; ++i) {
        const int64_t sample = b / windows.windows, window = b % windows.windows;
        const int32_t* tokens = windows.rows.data<int32_t>() + window * 4;
        const int32_t* groups = windows.groups.data<int32_t>() + window * 4;
        std::vector<double> scores;
        double total = 0;
        for (int64_t j = 0; j < 4; ++j) {
          const auto q = unit(sample, tokens[i], h * 4), k = unit(sample, tokens[j], 8 + h * 4);
          double score = 0;
          for (int64_t c = 0; c < 4; ++c) score += q[c] * k[c];
          score *= o.inputs[3].value().f32()[h];
          const int64_t entry = (i / 2 - j / 2 + 1) * 3 + (i % 2 - j % 2 + 1);
          score += o.inputs[2].value().f32()[entry * 2 + h];
          if (groups[i] != groups[j]) score -= 100;
          scores.push_back(std::exp(score));
          total += scores.back();
        }
        const float* row = rows.f32() + ((b * 2 + h) * 4 + i) * 4;
        for (int64_t j = 0; j < 4; ++j) EXPECT_NEAR(row[j], scores[j] / total, 1e-5);
      }
  EXPECT_TRUE(std::ranges::equal(probe.record("blocks.1.attn").rows.values().subspan(0, 4),
                                 rows.values().subspan(4, 4)));
  // dO v^T over a window's keys.
  const Tensor seed = testing::random_tensor(y.shape(), 5);
  tape.backward(queue, y, seed.clone());
  const Tensor gradients = probe.row_gradients(queue, "blocks.1.attn", {2});
  const int64_t b = rows.size(0) - 3, sample = 1;  // not the first window of the second sample
  const int32_t* tokens = windows.rows.data<int32_t>() + b % windows.windows * 4;
  for (int64_t j = 0; j < 4; ++j) {
    double sum = 0;
    for (int64_t c = 0; c < 4; ++c)
      sum += tokens[2] < 0 ? 0
                           : static_cast<double>(seed.f32()[(sample * 15 + tokens[2]) * 8 + c]) *
                                 value(sample, tokens[j], 16 + c);
    EXPECT_NEAR(gradients.f32()[b * 8 + j], sum, 1e-5);
  }
}

// What int8 cannot add runs in bf16; windows and transforms it can.
TEST(AttentionTermsOp, PrecisionFollowsThePlanWhereItCan) {
  const AttentionWindows windows =
      windows_of_grid({.grid_height = 4, .grid_width = 4, .window_height = 2, .window_width = 2});
  Operands o({{2, 16, 3 * 8}, {9, 2}});
  Queue queue(1);
  const auto answer = [&](Precision precision, bool biased) {
    Context context(queue);
    const PrecisionPlan plan{.base = precision};
    context.precision = &plan;
    AttentionOptions options = of_two_heads();
    options.windows = &windows;
    options.q_norm = options.k_norm = {.kind = HeadNormKind::rms};
    if (biased) options.relative = {.table = o.inputs[1], .index = relative_grid(2, 2)};
    return self_attention(context, o.inputs[0], options).value();
  };
  const auto equal = [](const Tensor& a, const Tensor& b) {
    return std::ranges::equal(a.values(), b.values());
  };
  EXPECT_TRUE(equal(answer(Precision::int8, true), answer(Precision::bf16, true)));
  EXPECT_FALSE(equal(answer(Precision::int8, false), answer(Precision::bf16, false)));
  const Tensor exact = answer(Precision::f32, false);
  EXPECT_LT(max_relative_error(answer(Precision::int8, false).values(), exact.values()), 0.05);
  EXPECT_LT(max_relative_error(answer(Precision::bf16, false).values(), exact.values()), 0.02);
}

TEST(AttentionTermsOp, RefusesWhatDoesNotFitByName) {
  Operands o({{2, 6, 24}, {15, 2}, {4}, {1, 6, 2}});
  Queue queue(1);
  const Context context(queue);
  const auto refusal = [&](const std::function<void(AttentionOptions*)>& describe) {
    AttentionOptions options = of_two_heads();
    describe(&options);
    try {
      self_attention(context, o.inputs[0], options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto expect = [&](const std::string& word,
                          const std::function<void(AttentionOptions*)>& describe) {
    const std::string message = refusal(describe);
    EXPECT_NE(message.find(word), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  };
  const Variable table = o.inputs[1];
  expect("relative positions of 4 queries", [&](AttentionOptions* x) {
    x->relative = {.table = Tensor::zeros({9, 2}), .index = relative_grid(2, 2)};
  });
  expect("the table of relative positions", [&](AttentionOptions* x) {
    x->relative = {.table = table, .index = relative_grid(2, 3, 1)};
  });
  expect("the table of rows", [&](AttentionOptions* x) {
    x->decomposed = {.rows = table, .columns = table, .height = 2, .width = 3};
  });
  expect("the slopes", [&](AttentionOptions* x) { x->distance.slopes = o.inputs[2]; });
  expect("angles of [1, 6, 2]",
         [&](AttentionOptions* x) { x->q_rotary = rotary_positions(o.inputs[3], 1, false); });
  expect("the gain of q's norm", [&](AttentionOptions* x) { x->q_norm.gain = o.inputs[2]; });
  expect("the groups of queries", [&](AttentionOptions* x) {
    x->groups.query_groups = x->groups.key_groups = Tensor::zeros({2, 5}, DType::i32);
  });
  expect("windows of 4 tokens", [&](AttentionOptions* x) {
    static const AttentionWindows windows =
        windows_of_grid({.grid_height = 2, .grid_width = 2, .window_height = 2, .window_width = 2});
    x->windows = &windows;
  });
  expect("windows of queries need some of keys", [&](AttentionOptions* x) {
    static const AttentionWindows windows =
        windows_of_grid({.grid_height = 2, .grid_width = 3, .window_height = 2, .window_width = 3});
    x->query_windows = &windows;
  });
  expect("2 windows of queries do not belong to 1", [&](AttentionOptions* x) {
    static const AttentionWindows one =
        windows_of_grid({.grid_height = 2, .grid_width = 3, .window_height = 2, .window_width = 3});
    static const AttentionWindows two =
        windows_of_grid({.grid_height = 2, .grid_width = 3, .window_height = 1, .window_width = 3});
    x->windows = &one;
    x->query_windows = &two;
  });
  expect("only windows have padding", [&](AttentionOptions* x) { x->padding = table; });
}

}  // namespace
}  // namespace vitrail
