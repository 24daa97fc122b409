#include "kernels/attention_mixing.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/attention_data.h"
#include "kernels/isa.h"
#include "kernels/reference/attention_mixing.h"
#include "support/compare.h"
#include "support/isa.h"

namespace vitrail::kernels {
namespace {

using operands::Data;
using vitrail::testing::expect_same_on_any_threads;
using vitrail::testing::for_each_isa;
using vitrail::testing::max_relative_error;
using vitrail::testing::random_floats;
using vitrail::testing::sum_tolerance;
using vitrail::testing::to_double;

struct Steps {
  bool before = true, after = true, biases = true, norm = false;
};

// What is learned, and attention told of it.
struct Mixing {
  std::vector<float> before, before_bias, after, after_bias, norm_weight, norm_bias;

  Mixing(const Steps& steps, Data& data) {
    const int64_t heads = data.s.heads;
    HeadMixing& to = data.args.mixing;
    const auto make = [](std::vector<float>& values, bool wanted, int64_t count, uint64_t seed) {
      if (wanted) values = random_floats(count, seed);
      return wanted ? values.data() : nullptr;
    };
    to.before = make(before, steps.before, heads * heads, 21);
    to.before_bias = make(before_bias, steps.before && steps.biases, heads, 22);
    to.after = make(after, steps.after, heads * heads, 23);
    to.after_bias = make(after_bias, steps.after && steps.biases, heads, 24);
    to.norm_weight = make(norm_weight, steps.norm, heads, 25);
    to.norm_bias = make(norm_bias, steps.norm, heads, 26);
    to.norm_epsilon = 1e-3f;
  }
  reference::MixingInput input() const {
    return {.before = to_double(before),
            .before_bias = to_double(before_bias),
            .after = to_double(after),
            .after_bias = to_double(after_bias),
            .norm_weight = to_double(norm_weight),
            .norm_bias = to_double(norm_bias),
            .norm_epsilon = 1e-3f};
  }
};

std::vector<float> output(Queue& queue, Data& data) {
  std::vector<float> o(data.q.size());
  attention(queue, data.args, {.o = data.view(o, data.s.queries)},
            Tensor::empty({attention_workspace(data.s)}, DType::u8).raw());
  return o;
}

std::vector<float> weights(Queue& queue, const Data& data, const std::vector<int64_t>& queries) {
  const auto count = static_cast<int64_t>(queries.size());
  std::vector<float> rows(data.s.batch * data.s.heads * count * data.s.keys);
  attention_rows(queue, data.args,
                 {.queries = queries.data(), .count = count, .rows = rows.data()});
  return rows;
}

const operands::Case kMixedCases[] = {
    {{.batch = 1, .heads = 1, .queries = 1, .keys = 1, .head_dim = 1}},
    {{.batch = 2, .heads = 3, .queries = 17, .keys = 17, .head_dim = 8}},
    {{.batch = 1, .heads = 2, .queries = 65, .keys = 131, .head_dim = 33}},
    {{.batch = 2, .heads = 5, .queries = 1, .keys = 50, .head_dim = 24}},
    {{.batch = 1, .heads = 4, .queries = 197, .keys = 197, .head_dim = 48}},
};
const Steps kSteps[] = {{},
                        {.biases = false},
                        {.after = false},
                        {.before = false, .biases = false, .norm = true},
                        {.before = false, .after = false, .norm = true},
                        {.norm = true}};

TEST(MixedAttention, AgreesWithTheReference) {
  for_each_isa([](Queue& queue) {
    for (const operands::Case& c : kMixedCases)
      for (const Steps& steps : kSteps) {
        Data data(c);
        const Mixing mixing(steps, data);
        SCOPED_TRACE(::testing::Message()
                     << c.shape.heads << " heads, " << c.shape.keys << " keys");
        const reference::MixedResult expected =
            reference::mixed_attention(data.input(), mixing.input());
        // A norm of nearly equal weights enlarges what rounding left of their differences.
        const double bound = (steps.norm ? 256 : 32) *
                             sum_tolerance(c.shape.head_dim + c.shape.keys + 2 * c.shape.heads);
        EXPECT_LE(max_relative_error(data.by_head(output(queue, data), data.s.queries), expected.o),
                  bound);
        std::vector<int64_t> queries;
        std::vector<double> rows;
        for (int64_t i = c.shape.queries - 1; i >= 0; i -= 3) queries.push_back(i);
        for (int64_t head = 0; head < data.s.batch * data.s.heads; ++head)
          for (const int64_t query : queries) {
            const auto at =
                expected.weights.begin() + (head * c.shape.queries + query) * c.shape.keys;
            rows.insert(rows.end(), at, at + c.shape.keys);
          }
        EXPECT_LE(max_relative_error(weights(queue, data, queries), rows), bound);
      }
  });
}

// Many heads and keys make panels narrow, and a batch of them is packed in groups.
TEST(MixedAttention, NeitherThreadsNorTheBatchChangeAnElement) {
  const operands::Case c{{.batch = 3, .heads = 16, .queries = 70, .keys = 600, .head_dim = 64}};
  Data data(c);
  const Mixing mixing({}, data);
  expect_same_on_any_threads([&](Queue& queue) { return output(queue, data); });
  Queue queue(2);
  const std::vector<float> whole = output(queue, data);
  Data last = data;
  last.s.batch = last.args.shape.batch = 1;
  last.q.erase(last.q.begin(), last.q.begin() + 2 * 70 * data.width);
  for (auto* x : {&last.k, &last.v}) x->erase(x->begin(), x->begin() + 2 * 600 * data.width);
  last.args.q = last.view(last.q, 70);
  last.args.k = last.view(last.k, 600);
  last.args.v = last.view(last.v, 600);
  const std::vector<float> alone = output(queue, last);
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), whole.begin() + 2 * 70 * data.width));
}

// What is multiplied is f32 in every precision.
TEST(MixedAttention, PrecisionChangesNothing) {
  Data data({{.batch = 2, .heads = 2, .queries = 9, .keys = 11, .head_dim = 16}});
  const Mixing mixing({}, data);
  Queue queue(1);
  const std::vector<float> exact = output(queue, data);
  for (const Precision precision : {Precision::bf16, Precision::int8}) {
    data.args.precision = precision;
    EXPECT_EQ(output(queue, data), exact);
  }
}

TEST(MixedAttention, ANaNReachesItsQueryAlone) {
  for_each_isa([](Queue& queue) {
    Data data({{.batch = 1, .heads = 2, .queries = 3, .keys = 20, .head_dim = 8}});
    const Mixing mixing({}, data);
    data.q[16] = std::numeric_limits<float>::quiet_NaN();  // of the second query
    const std::vector<float> o = output(queue, data);
    for (int64_t i = 0; i < 48; ++i) EXPECT_EQ(std::isnan(o[i]), i / 16 == 1);
  });
}

}  // namespace
}  // namespace vitrail::kernels
