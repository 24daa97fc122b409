// Attention whose values are larger or smaller than its queries and keys, laid out head by head as
// LeViT's projections leave them. Zeros that fill up the shorter of the two change no score and no
// output, so the same kernel over padded operands, which attention_test.cpp holds to the oracle,
// has the right answer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using vitrail::testing::for_each_isa;
using vitrail::testing::max_relative_error;
using vitrail::testing::random_floats;
using vitrail::testing::sum_tolerance;
using vitrail::testing::to_double;

struct ValuesCase {
  AttentionShape shape;  // batch: sequences
  int64_t windows = 1;
  int64_t padding = 0;  // of the last window's tokens
};

const ValuesCase kValuesCases[] = {
    {{.batch = 2, .heads = 3, .queries = 17, .keys = 17, .head_dim = 8, .own_value_dim = 20}},
    {{.batch = 1, .heads = 2, .queries = 196, .keys = 196, .head_dim = 16, .own_value_dim = 32}},
    {{.batch = 2, .heads = 2, .queries = 49, .keys = 196, .head_dim = 16, .own_value_dim = 64}},
    {{.batch = 1, .heads = 2, .queries = 70, .keys = 135, .head_dim = 33, .own_value_dim = 5}},
    {{.batch = 4, .heads = 2, .queries = 12, .keys = 12, .head_dim = 4, .own_value_dim = 18}, 2, 5},
};

constexpr int kParts = 3;  // q, k and v

// Operands and gradients of one layout: each part's heads of `dim[part]` values.
class Layout {
 public:
  Layout(const ValuesCase& c, std::array<int64_t, kParts> dims, bool by_head)
      : c_(c), dims_(dims), by_head_(by_head) {
    const AttentionShape& s = c.shape;
    for (int part = 0; part < kParts; ++part) {
      rows_[part] = tokens(part) * c.windows - c.padding;
      values_[part].resize(samples() * rows_[part] * row_width(part));
      gradients_[part].resize(values_[part].size());
      padding_[part].resize(row_width(part));
      padding_gradients_[part].resize(row_width(part));
    }
    o_.resize(samples() * rows_[0] * s.heads * dims[2]);
    d_o_.resize(o_.size());
    for (int64_t w = 0; w < c.windows; ++w)
      for (int64_t n = 0; n < s.queries; ++n) {
        const int64_t row = w * s.queries + n;
        index_.push_back(row < rows_[0] ? static_cast<int32_t>(row) : -1);
      }
  }

  // Where value i of a head of a token lies, -1 for padding's.
  float& at(std::array<std::vector<float>, kParts>& of, int part, int64_t row, int64_t h,
            int64_t i) const {
    return of[part][row * row_width(part) + first(part) + h * step(part) + i];
  }

  AttentionArgs args(Precision precision) {
    AttentionArgs args{.shape = c_.shape, .precision = precision};
    args.shape.head_dim = dims_[0];
    args.shape.own_value_dim = dims_[2];
    args.scale = 1.0f / std::sqrt(static_cast<float>(c_.shape.head_dim));
    args.q = view(0, values_, padding_);
    args.k = view(1, values_, padding_);
    args.v = view(2, values_, padding_);
    if (c_.windows > 1)
      args.tokens = {.windows = c_.windows, .query_rows = index_.data(), .key_rows = index_.data()};
    return args;
  }
  HeadView output(std::vector<float>& x) const {
    const int64_t width = c_.shape.heads * dims_[2];
    return {.data = x.data(), .stride = {rows_[0] * width, dims_[2], width}};
  }
  HeadView gradient(int part) { return view(part, gradients_, padding_gradients_); }

  int64_t samples() const { return c_.shape.batch / c_.windows; }
  int64_t tokens(int part) const { return part == 0 ? c_.shape.queries : c_.shape.keys; }

  ValuesCase c_;
  std::array<int64_t, kParts> dims_;
  bool by_head_;
  std::array<int64_t, kParts> rows_{};
  std::array<std::vector<float>, kParts> values_, gradients_, padding_, padding_gradients_;
  std::vector<float> o_, d_o_;
  std::vector<int32_t> index_;

 private:
  // Head by head, a part lies between the two others, which are not looked at.
  int64_t step(int part) const {
    return by_head_ ? dims_[0] + dims_[1] + dims_[2] : dims_[static_cast<size_t>(part)];
  }
  int64_t first(int part) const {
    if (!by_head_ || part == 0) return 0;
    return part == 1 ? dims_[0] : dims_[0] + dims_[1];
  }
  int64_t row_width(int part) const { return c_.shape.heads * step(part); }
  HeadView view(int part, std::array<std::vector<float>, kParts>& of,
                std::array<std::vector<float>, kParts>& padding) const {
    return {.data = of[part].data() + first(part),
            .stride = {rows_[part] * row_width(part), step(part), row_width(part)},
            .padding = c_.padding > 0 ? padding[part].data() + first(part) : nullptr};
  }
};

struct ValuesResult {
  std::vector<float> lse, table, rows, row_gradients;
};

ValuesResult run(Queue& queue, Layout& layout, Precision precision, const std::vector<float>& table,
                 const std::vector<int32_t>& index) {
  AttentionArgs args = layout.args(precision);
  const AttentionShape& s = args.shape;
  args.bias.table = {.values = table.data(),
                     .entries = static_cast<int64_t>(table.size()) / s.heads,
                     .index = index.data()};
  ValuesResult r{.lse = std::vector<float>(s.batch * s.heads * s.queries),
                 .table = std::vector<float>(table.size())};
  attention(queue, args, {.o = layout.output(layout.o_), .lse = r.lse.data()},
            Tensor::empty({attention_workspace(s)}, DType::u8).raw());
  attention_backward(queue, args,
                     {.o = layout.output(layout.o_),
                      .d_o = layout.output(layout.d_o_),
                      .lse = r.lse.data(),
                      .dq = layout.gradient(0),
                      .dk = layout.gradient(1),
                      .dv = layout.gradient(2),
                      .bias = {.table = r.table.data()}},
                     Tensor::empty({attention_backward_workspace(queue, s)}, DType::u8).raw());
  std::vector<int64_t> queries(s.queries);
  for (int64_t i = 0; i < s.queries; ++i) queries[i] = i;
  r.rows.resize(s.batch * s.heads * s.queries * s.keys);
  r.row_gradients.resize(r.rows.size());
  AttentionRows rows{
      .queries = queries.data(), .count = s.queries, .lse = r.lse.data(), .rows = r.rows.data()};
  attention_rows(queue, args, rows);
  rows.rows = r.row_gradients.data();
  attention_row_gradients(queue, args, layout.output(layout.d_o_), rows);
  return r;
}

void expect_as_padded(Queue& queue, const ValuesCase& c, Precision precision) {
  const AttentionShape& s = c.shape;
  SCOPED_TRACE(::testing::Message() << name_of(precision) << ", keys of " << s.head_dim
                                    << ", values of " << s.value_dim());
  const int64_t dim = s.head_dim, value = s.value_dim(), wide = std::max(dim, value);
  const std::array<int64_t, kParts> dims{dim, dim, value};
  Layout own(c, dims, true), padded(c, {wide, wide, wide}, false);
  uint64_t seed = 1;
  const auto fill = [&](auto& to, auto& same, int part, int64_t rows) {
    const std::vector<float> x =
        random_floats(rows * s.heads * dims[part], seed++, part < 2 ? -2 : -1, part < 2 ? 2 : 1);
    int64_t next = 0;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t h = 0; h < s.heads; ++h)
        for (int64_t i = 0; i < dims[part]; ++i, ++next)
          own.at(to, part, row, h, i) = padded.at(same, part, row, h, i) = x[next];
  };
  for (int part = 0; part < kParts; ++part) {
    fill(own.values_, padded.values_, part, own.samples() * own.rows_[part]);
    fill(own.padding_, padded.padding_, part, 1);
  }
  own.d_o_ = random_floats(static_cast<int64_t>(own.d_o_.size()), seed++);
  for (size_t at = 0; at < own.d_o_.size(); ++at)
    padded.d_o_[at / value * wide + at % value] = own.d_o_[at];
  constexpr int64_t kEntries = 11;
  const std::vector<float> table = random_floats(kEntries * s.heads, seed++, -2, 2);
  std::vector<int32_t> index(s.queries * s.keys);
  for (size_t at = 0; at < index.size(); ++at) index[at] = static_cast<int32_t>(at * 7 % kEntries);

  const ValuesResult r = run(queue, own, precision, table, index);
  const ValuesResult expected = run(queue, padded, precision, table, index);
  const double bound = 4 * sum_tolerance(wide + s.keys);
  std::vector<double> o;
  for (size_t at = 0; at < own.o_.size(); ++at)
    o.push_back(padded.o_[at / value * wide + at % value]);
  EXPECT_LE(max_relative_error(own.o_, o), bound);
  EXPECT_LE(max_relative_error(r.lse, to_double(expected.lse)), bound);
  EXPECT_LE(max_relative_error(r.table, to_double(expected.table)), 4 * bound);
  EXPECT_LE(max_relative_error(r.rows, to_double(expected.rows)), bound);
  EXPECT_LE(max_relative_error(r.row_gradients, to_double(expected.row_gradients)), bound);
  const auto expect_part = [&](auto& ours, auto& theirs, int part, int64_t rows) {
    std::vector<float> got;
    std::vector<double> wanted;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t h = 0; h < s.heads; ++h)
        for (int64_t i = 0; i < dims[part]; ++i) {
          got.push_back(own.at(ours, part, row, h, i));
          wanted.push_back(padded.at(theirs, part, row, h, i));
        }
    EXPECT_LE(max_relative_error(got, wanted), 4 * bound) << part;
  };
  for (int part = 0; part < kParts; ++part) {
    expect_part(own.gradients_, padded.gradients_, part, own.samples() * own.rows_[part]);
    if (c.padding > 0) expect_part(own.padding_gradients_, padded.padding_gradients_, part, 1);
  }
}

TEST(AttentionValues, OfAnotherSizeAreThoseOfPaddedOperands) {
  for_each_isa([](Queue& queue) {
    for (const ValuesCase& c : kValuesCases)
      for (const Precision precision : {Precision::f32, Precision::bf16})
        expect_as_padded(queue, c, precision);
  });
}

// 8 bits are not for them: what asks for them runs in bf16, rows included.
TEST(AttentionValues, OfAnotherSizeAreNotMultipliedInInt8) {
  AttentionArgs args{.shape = {.batch = 1, .heads = 1, .queries = 4, .keys = 4, .head_dim = 8},
                     .precision = Precision::int8};
  EXPECT_TRUE(attends_in_int8(args));
  args.shape.own_value_dim = 8;
  EXPECT_TRUE(attends_in_int8(args));
  args.shape.own_value_dim = 16;
  EXPECT_FALSE(attends_in_int8(args));
}

}  // namespace
}  // namespace vitrail::kernels
