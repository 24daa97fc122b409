// The terms of the bias for one block of scores (kernels/attention_bias.h).
//
// A block's bias lies as its scores do, [keys, kQueryPanel]. What all samples share is computed
// once a call where that is small, and else for each block; the sum has the same order either way,
// so the batch changes no bit.
//
// Per-target code: included once for each instruction set.
#include <algorithm>
#include <cmath>
#include <vector>

#include "hwy/highway.h"

#if defined(VITRAIL_ATTENTION_BIAS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_ATTENTION_BIAS_INL_H_
#undef VITRAIL_ATTENTION_BIAS_INL_H_
#else
#define VITRAIL_ATTENTION_BIAS_INL_H_
#endif

#include "kernels/cpu/attention_operands-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// Queries [query, query + queries) against keys [key, key + keys) of one head.
struct Block {
  int64_t b, h;
  int64_t query, queries;
  int64_t key, keys;
};

inline float DistanceOf(const DistanceSlopes& term, int64_t i, int64_t j) {
  if (i < term.prefix || j < term.prefix) return 0;
  const float dy = term.query_places[2 * i] - term.key_places[2 * j];
  const float dx = term.query_places[2 * i + 1] - term.key_places[2 * j + 1];
  return std::sqrt(dy * dy + dx * dx);
}

inline int64_t DecomposedTermFloats(const AttentionArgs& args) {
  const DecomposedTables& d = args.bias.decomposed;
  return d.rows == nullptr ? 0 : (d.height + d.width) * kQueryPanel;
}
inline int64_t DecomposedProductFloats(const AttentionArgs& args) {
  const DecomposedTables& d = args.bias.decomposed;
  return d.rows == nullptr ? 0 : d.entries() * kQueryPanel;
}

class BiasTerms {
 public:
  // `prepares`: what all samples share is computed now, if it is small.
  BiasTerms(Queue& queue, const AttentionArgs& args, bool prepares = true) : args_(args) {
    const AttentionShape& s = args.shape;
    const AttentionBias& bias = args.bias;
    shared_ = (bias.dense != nullptr && bias.stride[0] == 0) ||
              (bias.by_key != nullptr && bias.key_stride[0] == 0) || bias.table.values != nullptr ||
              bias.distance.slopes != nullptr;
    own_ = (bias.dense != nullptr && bias.stride[0] != 0) ||
           (bias.by_key != nullptr && bias.key_stride[0] != 0) || bias.decomposed.rows != nullptr;
    if (bias.groups.query_groups != nullptr) find_mixed_groups();
    if (bias.decomposed.rows != nullptr) pack_decomposed();
    if (bias.table.values != nullptr) {
      table_by_head_ = Tensor::empty({s.heads, bias.table.entries});
      transpose(bias.table.values, s.heads, bias.table.entries, s.heads, table_by_head_.f32(),
                bias.table.entries);
    }
    panels_ = (s.queries + kQueryPanel - 1) / kQueryPanel;
    constexpr int64_t kMostFloats = int64_t{1} << 21;  // 8 MB
    if (!prepares || !shared_ || s.batch < 2 ||
        s.heads * panels_ * s.keys * kQueryPanel > kMostFloats)
      return;
    prepared_ = Tensor::empty({s.heads, panels_, s.keys, kQueryPanel});
    queue.pool().parallel_for(s.heads * panels_, [&](int64_t i, int) {
      const int64_t query = i % panels_ * kQueryPanel;
      bool first = true;
      add_shared(i / panels_, {query, std::min(kQueryPanel, s.queries - query)}, 0, s.keys, &first,
                 prepared_.f32() + i * s.keys * kQueryPanel);
    });
  }

  // The bias of a block, in `memory` or prepared; null where nothing is added. `decomposed`: what
  // decomposed_terms() made of the panel's queries.
  const float* of_block(const Block& block, const float* decomposed, float* memory) const {
    const Lanes lanes{block.query, block.queries};
    if (prepared_.defined()) {
      const int64_t panel = block.h * panels_ + block.query / kQueryPanel;
      const float* shared = prepared_.f32() + (panel * args_.shape.keys + block.key) * kQueryPanel;
      if (!adds_own(block.b)) return shared;
      std::copy_n(shared, block.keys * kQueryPanel, memory);
      bool first = false;
      add_own(block.b, block.h, lanes, block.key, block.keys, decomposed, &first, memory);
      return memory;
    }
    return of_lanes(block.b, block.h, lanes, block.key, block.keys, decomposed, memory);
  }

  const float* of_lanes(int64_t b, int64_t h, const Lanes& lanes, int64_t key, int64_t keys,
                        const float* decomposed, float* memory) const {
    if (!shared_ && !adds_own(b)) return nullptr;
    bool first = true;
    if (shared_) add_shared(h, lanes, key, keys, &first, memory);
    if (adds_own(b)) add_own(b, h, lanes, key, keys, decomposed, &first, memory);
    return memory;
  }

  // [height + width, kQueryPanel] of the rows' terms, then the columns', of the queries whose
  // transposed floats are q_columns. `products` takes DecomposedProductFloats.
  void decomposed_terms(const float* q_columns, const Lanes& lanes, float* products,
                        float* terms) const {
    const DecomposedTables& d = args_.bias.decomposed;
    const int64_t width = RoundUp(args_.shape.head_dim, kLanes);
    Multiply({}, d.entries(), lanes.count,
             {.depth = args_.shape.head_dim,
              .a = tables_.f32(),
              .a_row = width,
              .a_step = 1,
              .b = q_columns,
              .b_row = kQueryPanel,
              .c = products,
              .c_row = kQueryPanel});
    std::fill_n(terms, DecomposedTermFloats(args_), 0.0f);
    for_each_entry(lanes, [&](int64_t term, int64_t entry) { terms[term] = products[entry]; });
  }

  // visit(place among the terms, place among the products) for every lane.
  template <class Visit>
  void for_each_entry(const Lanes& lanes, const Visit& visit) const {
    const DecomposedTables& d = args_.bias.decomposed;
    for (int64_t c = 0; c < lanes.count; ++c) {
      const int64_t y = lanes[c] / d.width, x = lanes[c] % d.width;
      for (int64_t j = 0; j < d.height; ++j)
        visit(j * kQueryPanel + c, (y - j + d.height - 1) * kQueryPanel + c);
      for (int64_t j = 0; j < d.width; ++j)
        visit((d.height + j) * kQueryPanel + c,
              (d.row_entries() + x - j + d.width - 1) * kQueryPanel + c);
    }
  }

  // Rows, then columns, of the decomposed table: [entries, RoundUp(d, kLanes)].
  const float* decomposed_tables() const { return tables_.f32(); }

 private:
  bool adds_own(int64_t b) const {
    return own_ || (!mixed_.empty() && mixed_[b % args_.bias.groups.periods] != 0);
  }

  // Most windows hold tokens of one group alone: they need no comparison.
  void find_mixed_groups() {
    const TokenGroups& groups = args_.bias.groups;
    const AttentionShape& s = args_.shape;
    mixed_.resize(static_cast<size_t>(groups.periods));
    for (int64_t p = 0; p < groups.periods; ++p) {
      const int32_t* q = groups.query_groups + p * s.queries;
      const int32_t* k = groups.key_groups + p * s.keys;
      const auto differs = [q](int32_t group) { return group != q[0]; };
      mixed_[p] = s.queries > 0 &&
                  (std::any_of(q, q + s.queries, differs) || std::any_of(k, k + s.keys, differs));
    }
  }

  void pack_decomposed() {
    const DecomposedTables& d = args_.bias.decomposed;
    const int64_t dim = args_.shape.head_dim, width = RoundUp(dim, kLanes);
    tables_ = Tensor::empty({d.entries(), width});
    PackRows({}, {d.rows, dim, d.row_entries(), dim}, tables_.f32());
    PackRows({}, {d.columns, dim, 2 * d.width - 1, dim}, tables_.f32() + d.row_entries() * width);
  }

  // tile = or += from[c * query_stride + j * key_stride].
  static void add_dense(const float* from, int64_t query_stride, int64_t key_stride,
                        const Lanes& lanes, int64_t keys, bool first, float* tile) {
    if (first && lanes.chosen == nullptr && key_stride == 1 && query_stride != 0)
      return transpose(from + lanes.first * query_stride, query_stride, lanes.count, keys, tile,
                       kQueryPanel);
    for (int64_t j = 0; j < keys; ++j)
      for (int64_t c = 0; c < lanes.count; ++c) {
        float& at = tile[j * kQueryPanel + c];
        const float value = from[lanes[c] * query_stride + j * key_stride];
        at = first ? value : at + value;
      }
  }

  // Dense terms, and zeros where there is none and in the lanes beyond. `first`: nothing is in the
  // tile yet.
  void add_dense_terms(bool own, int64_t b, int64_t h, const Lanes& lanes, int64_t key,
                       int64_t keys, bool* first, float* tile) const {
    const AttentionBias& bias = args_.bias;
    if (bias.dense != nullptr && (bias.stride[0] != 0) == own) {
      const auto& s = bias.stride;
      add_dense(bias.dense + b * s[0] + h * s[1] + key * s[3], s[2], s[3], lanes, keys, *first,
                tile);
      *first = false;
    }
    if (bias.by_key != nullptr && (bias.key_stride[0] != 0) == own) {
      const auto& s = bias.key_stride;
      add_dense(bias.by_key + b * s[0] + h * s[1] + key * s[2], 0, s[2], lanes, keys, *first, tile);
      *first = false;
    }
    for (int64_t j = 0; j < keys; ++j) {
      float* row = tile + j * kQueryPanel;
      std::fill(row + (*first ? 0 : lanes.count), row + kQueryPanel, 0.0f);
    }
    *first = false;
  }

  // The terms that are the same for every sample.
  void add_shared(int64_t h, const Lanes& lanes, int64_t key, int64_t keys, bool* first,
                  float* tile) const {
    const AttentionBias& bias = args_.bias;
    add_dense_terms(false, 0, h, lanes, key, keys, first, tile);
    if (bias.table.values != nullptr) add_table(h, lanes, key, keys, tile);
    if (bias.distance.slopes != nullptr)
      for (int64_t j = 0; j < keys; ++j)
        for (int64_t c = 0; c < lanes.count; ++c)
          tile[j * kQueryPanel + c] -=
              bias.distance.slopes[h] * DistanceOf(bias.distance, lanes[c], key + j);
  }

  void add_table(int64_t h, const Lanes& lanes, int64_t key, int64_t keys, float* tile) const {
    const RelativeTable& table = args_.bias.table;
    const float* values = table_by_head_.f32() + h * table.entries;
    const auto add_lane = [&](int64_t j, int64_t c, float* at) {
      const int64_t entry = table.entry(lanes[c], key + j, args_.shape.keys);
      if (entry >= 0) *at += values[entry];
    };
    // By the rule, lanes behind the prefix are read by the vector.
    int64_t first = 0, last = 0;
    if (table.index == nullptr && lanes.count >= kLanes) {
      while (first < lanes.count && lanes[first] < table.prefix) ++first;
      last = first + (lanes.count - first) / kLanes * kLanes;
      if (lanes.chosen != nullptr) last = first;  // in any order: the prefix may be anywhere
    }
    HWY_ALIGN int32_t of_query[kQueryPanel];
    for (int64_t c = first; c < last; ++c) of_query[c] = table.query_entry[lanes[c]];
    const FloatTag d;
    const hn::RebindToSigned<FloatTag> di;
    for (int64_t j = 0; j < keys; ++j) {
      float* row = tile + j * kQueryPanel;
      const bool by_vector = key + j >= table.prefix;
      for (int64_t c = 0; c < (by_vector ? first : lanes.count); ++c) add_lane(j, c, row + c);
      if (!by_vector) continue;
      for (int64_t c = first; c < last; c += kLanes) {
        const auto entry =
            hn::Sub(hn::LoadU(di, of_query + c), hn::Set(di, table.key_entry[key + j]));
        hn::StoreU(hn::Add(hn::LoadU(d, row + c), hn::GatherIndex(d, values, entry)), d, row + c);
      }
      for (int64_t c = last; c < lanes.count; ++c) add_lane(j, c, row + c);
    }
  }

  // And those of sequence b.
  void add_own(int64_t b, int64_t h, const Lanes& lanes, int64_t key, int64_t keys,
               const float* decomposed, bool* first, float* tile) const {
    const AttentionBias& bias = args_.bias;
    add_dense_terms(true, b, h, lanes, key, keys, first, tile);
    if (bias.decomposed.rows != nullptr) {
      const FloatTag d;
      const int64_t width = bias.decomposed.width;
      for (int64_t j = 0; j < keys; ++j) {
        const float* row = decomposed + (key + j) / width * kQueryPanel;
        const float* column =
            decomposed + (bias.decomposed.height + (key + j) % width) * kQueryPanel;
        float* at = tile + j * kQueryPanel;
        for (int64_t c = 0; c < kQueryPanel; c += kLanes)
          hn::StoreU(hn::Add(hn::LoadU(d, at + c),
                             hn::Add(hn::LoadU(d, row + c), hn::LoadU(d, column + c))),
                     d, at + c);
      }
    }
    if (!mixed_.empty() && mixed_[b % bias.groups.periods] != 0)
      add_groups(b, lanes, key, keys, tile);
  }

  void add_groups(int64_t b, const Lanes& lanes, int64_t key, int64_t keys, float* tile) const {
    const TokenGroups& groups = args_.bias.groups;
    const int64_t period = b % groups.periods;
    const int32_t* of_query = groups.query_groups + period * args_.shape.queries;
    const int32_t* of_key = groups.key_groups + period * args_.shape.keys + key;
    int32_t own[kQueryPanel];
    for (int64_t c = 0; c < lanes.count; ++c) own[c] = of_query[lanes[c]];
    for (int64_t j = 0; j < keys; ++j)
      for (int64_t c = 0; c < lanes.count; ++c)
        tile[j * kQueryPanel + c] += own[c] == of_key[j] ? 0.0f : groups.penalty;
  }

  const AttentionArgs& args_;
  bool shared_ = false, own_ = false;
  std::vector<uint8_t> mixed_;  // by period: whether groups meet there
  int64_t panels_ = 0;
  Tensor prepared_;       // [H, panels, Nk, kQueryPanel]
  Tensor table_by_head_;  // [H, entries]
  Tensor tables_;         // decomposed
};

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
