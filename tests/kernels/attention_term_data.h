// One case of attention with terms, windows and transforms, random and all learned, as the kernel
// wants it; kernels/reference/attention_terms.h answers it.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/tensor.h"
#include "kernels/attention.h"
#include "kernels/reference/attention_terms.h"
#include "support/random.h"

namespace vitrail::kernels::operands {

struct TermCase {
  const char* name = "";
  AttentionShape shape;  // batch: sequences
  int64_t windows = 1;   // of a sample
  int64_t padding = 0;   // tokens of a sample without a row
  bool dense = false, dense_by_sample = false, dense_of_all_heads = false;
  bool by_key = false, by_key_of_sample = false;
  enum class Table { none, index, rule, rule_with_prefix } table = Table::none;
  int64_t grid_height = 0, grid_width = 0;  // of the rule, the decomposed tables, the distance
  bool decomposed = false;
  bool distance = false;
  int64_t group_periods = 0;
  bool infinite_penalty = false;
  bool causal = false, lengths = false;
  HeadNormKind norm = HeadNormKind::none;
  bool norm_weights = false, gain = false;
  enum class Turn { none, interleaved, halves, halves_by_head } turn = Turn::none;
  int64_t turn_prefix = 0;
};

// What the kernel leaves, every gradient of it.
struct TermResult {
  std::vector<float> o, lse, dq, dk, dv, dense, by_key, table, rows, columns, slopes, padding;
  std::vector<float> weight[2], bias[2], gain[2], angles[2];
  bool operator==(const TermResult&) const = default;
};

class TermData {
 public:
  TermData(const TermCase& c, Precision precision)
      : c_(c),
        s_(c.shape),
        width_(s_.heads * s_.head_dim),
        memory_queries_((s_.queries * c.windows) - c.padding),
        memory_keys_((s_.keys * c.windows) - c.padding),
        samples_(s_.batch / c.windows) {
    args.shape = s_;
    args.precision = precision;
    args.scale = 1.0f / std::sqrt(static_cast<float>(s_.head_dim));
    args.q = view(q_ = numbers(samples_ * memory_queries_ * width_, -2, 2), memory_queries_);
    args.k = view(k_ = numbers(samples_ * memory_keys_ * width_, -2, 2), memory_keys_);
    args.v = view(v_ = numbers(samples_ * memory_keys_ * width_, -1, 1), memory_keys_);
    d_o_ = numbers(samples_ * memory_queries_ * width_, -1, 1);
    make_windows();
    make_bias();
    make_transform(args.q_transform, s_.queries, transforms_[0]);
    make_transform(args.k_transform, s_.keys, transforms_[1]);
  }
  TermData(const TermData&) = delete;
  TermData& operator=(const TermData&) = delete;

  AttentionArgs args;

  TermResult run(Queue& queue) {
    const AttentionBias& bias = args.bias;
    TermResult r;
    r.o.resize(q_.size()), r.dq.resize(q_.size());
    r.dk.resize(k_.size()), r.dv.resize(v_.size());
    r.lse.resize(s_.batch * s_.heads * s_.queries);
    r.dense.resize(dense_.size()), r.by_key.resize(by_key_.size()), r.table.resize(table_.size());
    r.rows.resize(rows_.size()), r.columns.resize(columns_.size());
    r.slopes.resize(slopes_.size()), r.padding.resize(padding_.size());
    attention(queue, args, {.o = view(r.o, memory_queries_), .lse = r.lse.data()},
              Tensor::empty({attention_workspace(s_)}, DType::u8).raw());
    const auto at = [](std::vector<float>& x) { return x.empty() ? nullptr : x.data(); };
    AttentionBackward grad{.o = view(r.o, memory_queries_),
                           .d_o = view(d_o_, memory_queries_),
                           .lse = r.lse.data(),
                           .dq = view(r.dq, memory_queries_),
                           .dk = view(r.dk, memory_keys_),
                           .dv = view(r.dv, memory_keys_),
                           .bias = {.dense = bias.dense == nullptr ? nullptr : at(r.dense),
                                    .by_key = at(r.by_key),
                                    .table = at(r.table),
                                    .decomposed_rows = at(r.rows),
                                    .decomposed_columns = at(r.columns),
                                    .slopes = at(r.slopes)}};
    for (int side = 0; side < 2; ++side) {
      const Transform& learned = transforms_[side];
      r.weight[side].resize(learned.weight.size()), r.bias[side].resize(learned.bias.size());
      r.gain[side].resize(learned.gain.size()), r.angles[side].resize(learned.cosine.size());
      HeadTransformGradient& wanted = side == 0 ? grad.q_transform : grad.k_transform;
      wanted = HeadTransformGradient{.weight = at(r.weight[side]),
                                     .bias = at(r.bias[side]),
                                     .gain = at(r.gain[side]),
                                     .angles = at(r.angles[side])};
    }
    if (!padding_.empty()) {
      grad.dq.padding = r.padding.data();
      grad.dk.padding = r.padding.data() + width_;
      grad.dv.padding = r.padding.data() + 2 * width_;
    }
    attention_backward(queue, args, grad,
                       Tensor::empty({attention_backward_workspace(queue, s_)}, DType::u8).raw());
    return r;
  }

  // By token, [B, H, N, d], what lies in memory; padding has `none`.
  std::vector<double> by_token(const std::vector<float>& x, bool keys, double none = 0) const {
    const int64_t count = keys ? s_.keys : s_.queries,
                  memory = keys ? memory_keys_ : memory_queries_;
    std::vector<double> out;
    for (int64_t b = 0; b < s_.batch; ++b)
      for (int64_t h = 0; h < s_.heads; ++h)
        for (int64_t n = 0; n < count; ++n) {
          const int64_t row = row_of(b, n, count, keys);
          for (int64_t i = 0; i < s_.head_dim; ++i)
            out.push_back(
                row < 0 ? none : x[(b / c_.windows * memory + row) * width_ + h * s_.head_dim + i]);
        }
    return out;
  }
  std::vector<double> d_o_by_token(Precision precision) const {
    std::vector<double> d_o = by_token(d_o_, false);
    if (precision != Precision::f32)
      for (double& x : d_o) x = bf16_to_f32(f32_to_bf16(static_cast<float>(x)));
    return d_o;
  }
  // x [B, H, N, d] with zeros where the token is padding, and what the padding of `part` sums to.
  std::vector<double> without_padding(std::vector<double> x, bool keys, int part,
                                      std::vector<double>& padding) const {
    const int64_t count = keys ? s_.keys : s_.queries;
    for (int64_t at = 0; at < static_cast<int64_t>(x.size()); ++at) {
      const int64_t i = at % s_.head_dim, n = at / s_.head_dim % count;
      const int64_t head = at / (s_.head_dim * count);
      if (row_of(head / s_.heads, n, count, keys) >= 0) continue;
      if (!padding.empty()) padding[part * width_ + head % s_.heads * s_.head_dim + i] += x[at];
      x[at] = 0;
    }
    return x;
  }
  // Sums [B, H, Nq, Nk] over the axes that the dense term broadcasts.
  std::vector<double> reduced(const std::vector<double>& ds, bool by_key) const {
    std::vector<double> out(by_key ? by_key_.size() : dense_.size());
    for (int64_t at = 0; at < static_cast<int64_t>(ds.size()); ++at) {
      const int64_t j = at % s_.keys, i = at / s_.keys % s_.queries;
      const int64_t head = at / (s_.keys * s_.queries), b = head / s_.heads, h = head % s_.heads;
      const auto& s = args.bias.stride;
      const auto& k = args.bias.key_stride;
      out[by_key ? b * k[0] + h * k[1] + j * k[2] : b * s[0] + h * s[1] + i * s[2] + j * s[3]] +=
          ds[at];
    }
    return out;
  }
  size_t padding_size() const { return padding_.size(); }
  bool has_dense() const { return !dense_.empty(); }
  HeadView output_gradient() { return view(d_o_, memory_queries_); }

 private:
  struct Transform {
    std::vector<float> weight, bias, gain, cosine, sine;
  };

  std::vector<float> numbers(int64_t count, float low, float high) {
    return vitrail::testing::random_floats(count, ++seed_, low, high);
  }
  HeadView view(std::vector<float>& x, int64_t tokens) const {
    return {.data = x.data(), .stride = {tokens * width_, s_.head_dim, width_}};
  }
  int64_t row_of(int64_t b, int64_t n, int64_t count, bool keys) const {
    const std::vector<int32_t>& rows = keys ? key_rows_ : query_rows_;
    return rows.empty() ? n : rows[b % c_.windows * count + n];
  }

  // Every row of memory somewhere, the rest padding.
  std::vector<int32_t> shuffled_rows(int64_t count, int64_t memory) {
    std::vector<int32_t> rows(c_.windows * count, -1);
    std::iota(rows.begin(), rows.begin() + memory, 0);
    const std::vector<float> draw = numbers(static_cast<int64_t>(rows.size()), 0, 1);
    for (size_t i = rows.size(); i-- > 1;)
      std::swap(rows[i], rows[static_cast<size_t>(draw[i] * static_cast<float>(i))]);
    return rows;
  }
  void make_windows() {
    if (c_.windows == 1 && c_.padding == 0) return;
    query_rows_ = shuffled_rows(s_.queries, memory_queries_);
    key_rows_ = shuffled_rows(s_.keys, memory_keys_);
    args.tokens = {
        .windows = c_.windows, .query_rows = query_rows_.data(), .key_rows = key_rows_.data()};
    if (c_.padding == 0) return;
    padding_ = numbers(3 * width_, -2, 2);
    args.q.padding = padding_.data();
    args.k.padding = padding_.data() + width_;
    args.v.padding = padding_.data() + 2 * width_;
  }

  void make_bias() {
    AttentionBias& bias = args.bias;
    const int64_t pairs = s_.queries * s_.keys;
    if (c_.dense) {
      const int64_t heads = c_.dense_of_all_heads ? 1 : s_.heads;
      dense_ = numbers((c_.dense_by_sample ? s_.batch : 1) * heads * pairs, -3, 3);
      bias.dense = dense_.data();
      bias.stride = {c_.dense_by_sample ? heads * pairs : 0, c_.dense_of_all_heads ? 0 : pairs,
                     s_.keys, 1};
    }
    if (c_.by_key) {
      by_key_ = numbers((c_.by_key_of_sample ? s_.batch : 1) * s_.keys, -2, 2);
      bias.by_key = by_key_.data();
      bias.key_stride = {c_.by_key_of_sample ? s_.keys : 0, 0, 1};
    }
    make_table();
    if (c_.decomposed) {
      rows_ = numbers((2 * c_.grid_height - 1) * s_.head_dim, -1, 1);
      columns_ = numbers((2 * c_.grid_width - 1) * s_.head_dim, -1, 1);
      bias.decomposed = {.rows = rows_.data(),
                         .columns = columns_.data(),
                         .height = c_.grid_height,
                         .width = c_.grid_width};
    }
    if (c_.distance) {
      slopes_ = numbers(s_.heads, 0, 1);
      query_places_ = numbers(2 * s_.queries, 0, 5);
      key_places_ = numbers(2 * s_.keys, 0, 5);
      bias.distance = {.slopes = slopes_.data(),
                       .query_places = query_places_.data(),
                       .key_places = key_places_.data(),
                       .prefix = 2};
    }
    if (c_.group_periods > 0) {
      // Every other period has one group alone.
      const auto groups = [&](int64_t count) {
        std::vector<int32_t> out;
        for (int64_t i = 0; i < c_.group_periods * count; ++i)
          out.push_back(i / count % 2 == 0 ? static_cast<int32_t>(i % count % 3) : 7);
        return out;
      };
      query_groups_ = groups(s_.queries);
      key_groups_ = groups(s_.keys);
      bias.groups = {.query_groups = query_groups_.data(),
                     .key_groups = key_groups_.data(),
                     .periods = c_.group_periods};
      if (!c_.infinite_penalty) bias.groups.penalty = -2.5f;
    }
    bias.causal = c_.causal;
    for (int64_t b = 0; b < s_.batch; ++b) lengths_.push_back(b == 0 ? s_.keys / 2 : s_.keys);
    if (c_.lengths) bias.key_lengths = lengths_.data();
  }

  void make_table() {
    RelativeTable& table = args.bias.table;
    if (c_.table == TermCase::Table::none) return;
    if (c_.table == TermCase::Table::index) {
      table.entries = 11;
      for (int64_t i = 0; i < s_.queries * s_.keys; ++i)
        index_.push_back(static_cast<int32_t>(i * 7 % 12) - 1);
      table.index = index_.data();
    } else {
      const bool prefixed = c_.table == TermCase::Table::rule_with_prefix;
      const int64_t span = 2 * c_.grid_width - 1;
      table.entries = (2 * c_.grid_height - 1) * span + (prefixed ? 3 : 0);
      table.prefix = prefixed ? 1 : 0;
      for (int64_t i = -table.prefix; i < c_.grid_height * c_.grid_width; ++i) {
        const int64_t entry = i < 0 ? 0 : i / c_.grid_width * span + i % c_.grid_width;
        key_entry_.push_back(static_cast<int32_t>(entry));
        query_entry_.push_back(
            static_cast<int32_t>(entry + (c_.grid_height - 1) * span + c_.grid_width - 1));
      }
      table.query_entry = query_entry_.data();
      table.key_entry = key_entry_.data();
      if (prefixed) {
        const auto entries = static_cast<int32_t>(table.entries);
        table.prefix_to_token = entries - 3;
        table.token_to_prefix = entries - 2;
        table.prefix_to_prefix = entries - 1;
      }
    }
    table_ = numbers(table.entries * s_.heads, -2, 2);
    table.values = table_.data();
  }

  void make_transform(HeadTransform& transform, int64_t tokens, Transform& learned) {
    transform.norm.kind = c_.norm;
    if (c_.norm_weights) {
      learned.weight = numbers(s_.head_dim, 0.5f, 1.5f);
      transform.norm.weight = learned.weight.data();
      learned.bias = numbers(s_.head_dim, -0.5f, 0.5f);
      transform.norm.bias = learned.bias.data();
    }
    if (c_.gain) {
      learned.gain = numbers(s_.heads, 0.5f, 1.5f);
      transform.norm.gain = learned.gain.data();
    }
    if (c_.turn == TermCase::Turn::none) return;
    const bool by_head = c_.turn == TermCase::Turn::halves_by_head;
    const int64_t angles = (tokens - c_.turn_prefix) * s_.head_dim / 2;
    for (const float angle : numbers((by_head ? s_.heads : 1) * angles, -3, 3)) {
      learned.cosine.push_back(std::cos(angle));
      learned.sine.push_back(std::sin(angle));
    }
    transform.rotary = {.cosine = learned.cosine.data(),
                        .sine = learned.sine.data(),
                        .head_stride = by_head ? angles : 0,
                        .prefix = c_.turn_prefix,
                        .interleaved = c_.turn == TermCase::Turn::interleaved};
  }

  TermCase c_;
  AttentionShape s_;
  int64_t width_, memory_queries_, memory_keys_, samples_;
  uint64_t seed_ = 30;
  std::vector<float> q_, k_, v_, d_o_, dense_, by_key_, table_, rows_, columns_, slopes_;
  std::vector<float> query_places_, key_places_, padding_;
  std::vector<int32_t> query_rows_, key_rows_, index_, query_entry_, key_entry_;
  std::vector<int32_t> query_groups_, key_groups_;
  std::vector<int64_t> lengths_;
  Transform transforms_[2];
};

}  // namespace vitrail::kernels::operands
