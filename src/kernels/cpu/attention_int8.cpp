// Attention in 8-bit integers: forward, and exact rows of what ran.
#include "kernels/cpu/attention_int8.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_int8.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/attention_driver-inl.h"
#include "kernels/cpu/attention_exact-inl.h"
#include "kernels/cpu/attention_int8-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// Running softmax of a panel, by query, and what it has summed up.
struct Int8Panel {
  Int8Queries queries;
  float* out;      // [kQueryPanel, RoundUp(d, kLanes)], of v less its mean
  float* maximum;  // of the scores so far
  float* sum;      // of the exponentials relative to it
  float* factor;   // brings the scores to powers of two
};

struct Int8Scratch {
  Int8Panel panels[kPanelsPerTask];
  float* scores;    // [kKeyBlock, kQueryPanel]; then units of P
  float* previous;  // [kQueryPanel]: the maximum before this block
  float* shrink;    // [kQueryPanel]: the factor of what was summed before
  float* head;      // packed K and V, where a task packs its own
  float* fetched;   // rows of a head that do not lie in memory as they are multiplied

  // Returns the floats used; base may be null to measure.
  int64_t carve(const AttentionArgs& args, bool packs, float* base) {
    const AttentionShape& s = args.shape;
    Carver memory{base};
    const int64_t width = RoundUp(s.head_dim, kLanes);
    for (Int8Panel& panel : panels) {
      memory.used +=
          panel.queries.carve(s.head_dim, base == nullptr ? nullptr : base + memory.used);
      memory.take(panel.out, kQueryPanel * width);
      memory.take(panel.maximum, kQueryPanel);
      memory.take(panel.sum, kQueryPanel);
      memory.take(panel.factor, kQueryPanel);
    }
    // Packing queries passes through it.
    memory.take(scores, std::max(kQueryPanel * kKeyBlock, QueryScratchFloats(s.head_dim)));
    memory.take(previous, kQueryPanel);
    memory.take(shrink, kQueryPanel);
    Int8Head measure;
    memory.take(head, packs ? measure.carve(s, nullptr) : 0);
    memory.take(fetched, FetchedFloats(args));
    return memory.used;
  }
};

// Scores of a block -> units of P, and the sums of what P was before it was rounded.
void SoftmaxInt8(const Block& block, const Int8Panel& panel, const Int8Scratch& scratch) {
  const FloatTag d;
  const auto steps = hn::Set(d, 255.0f), rounder = hn::Set(d, kRounder);
  for (int64_t column = 0; column < block.queries; column += kLanes) {
    const auto factor = hn::LoadU(d, panel.factor + column);
    const auto shift = hn::Mul(hn::LoadU(d, panel.maximum + column), factor);
    float* scores = scratch.scores + column;
    auto total = hn::Zero(d), total2 = hn::Zero(d);
    const auto exponential = [&](int64_t j) HWY_ATTR {
      return Exp2(d, hn::MulSub(hn::LoadU(d, scores + j * kQueryPanel), factor, shift));
    };
    const auto step = [&](hn::Vec<FloatTag> x) HWY_ATTR { return hn::MulAdd(x, steps, rounder); };
    int64_t j = 0;
    for (; j + kUnitBytes <= block.keys; j += kUnitBytes) {
      const auto a = exponential(j), b = exponential(j + 1);
      const auto c = exponential(j + 2), e = exponential(j + 3);
      total = hn::Add(total, hn::Add(a, b));
      total2 = hn::Add(total2, hn::Add(c, e));
      hn::StoreU(hn::BitCast(d, PackFour(step(a), step(b), step(c), step(e))), d,
                 scores + j / kUnitBytes * kQueryPanel);
    }
    if (j < block.keys) {
      hn::Vec<FloatTag> rest[kUnitBytes];
      for (int64_t i = 0; i < kUnitBytes; ++i) {
        rest[i] = j + i < block.keys ? exponential(j + i) : hn::Zero(d);
        total = hn::Add(total, rest[i]);
      }
      hn::StoreU(
          hn::BitCast(d, PackFour(step(rest[0]), step(rest[1]), step(rest[2]), step(rest[3]))), d,
          scores + j / kUnitBytes * kQueryPanel);
    }
    total = hn::Add(total, total2);
    if (block.key > 0) {
      const auto before = hn::LoadU(d, scratch.previous + column);
      const auto shrink = Exp2(d, hn::MulSub(before, factor, shift));
      hn::StoreU(shrink, d, scratch.shrink + column);
      total = hn::MulAdd(hn::LoadU(d, panel.sum + column), shrink, total);
    }
    hn::StoreU(total, d, panel.sum + column);
  }
}

// out (+)= P V, by query and channel, of rows rounded up to whole tiles.
template <class Dot>
void AddValuesInt8(const Int8Head& head, const Block& block, int64_t dim, const Int8Panel& panel,
                   const Int8Scratch& scratch) {
  const FloatTag d;
  const int64_t width = RoundUp(dim, kLanes);
  const bool first = block.key == 0;
  ForEachStrip(dim, [&](int64_t column, auto count) HWY_ATTR {
    constexpr int kVectors = decltype(count)::value;
    for (int64_t row = 0; row < block.queries; row += kByteRows) {
      float* out = panel.out + row * width + column;
      ComputeByteTile<Dot, kVectors>(
          {.depth = Units(block.keys),
           .a = reinterpret_cast<const uint8_t*>(scratch.scores + row),
           .a_row = kUnitBytes,
           .a_step = kQueryPanel * kUnitBytes,
           .b = head.values + block.key / kUnitBytes * width + column,
           .b_row = width},
          [](int) HWY_ATTR { return hn::Zero(IntTag()); },
          [&](int r, int v, Ints sum) HWY_ATTR {
            float* at = out + r * width + v * kLanes;
            auto x = hn::ConvertTo(d, sum);
            if (!first) x = hn::MulAdd(hn::LoadU(d, at), hn::Set(d, scratch.shrink[row + r]), x);
            hn::StoreU(x, d, at);
          });
    }
  });
}

// Panels of queries of one head, in one thread's memory.
template <class Dot>
class HeadInt8 {
 public:
  struct Call {
    Call(Queue&, const AttentionArgs&) {}
  };
  HeadInt8(const AttentionArgs& args, const Call&, const AttentionForward& result, float* scratch,
           bool packs)
      : args_(args), result_(result) {
    s_.carve(args, packs, scratch);
  }

  static int64_t head_floats(const AttentionShape& shape) {
    Int8Head measure;
    return measure.carve(shape, nullptr);
  }
  static int64_t scratch_floats(const AttentionArgs& args, bool packs) {
    Int8Scratch measure;
    return measure.carve(args, packs, nullptr);
  }
  float* head() const { return s_.head; }

  void pack(const Block& block, float* memory) const {
    Int8Head head;
    head.carve(args_.shape, memory);
    PackKeysInt8(FetchKeys(args_, block.b, block.h, s_.fetched), head);
    PackValuesInt8(FetchValues(args_, block.b, block.h, s_.fetched), head);
  }

  // Panels [first, last) of at most kPanelsPerTask.
  void run(float* memory, Block block, int64_t first, int64_t last, RowsAhead* ahead) const {
    Int8Head head;
    head.carve(args_.shape, memory);
    for (int64_t p = first; p < last; ++p) start(at_panel(block, p), s_.panels[p - first]);
    const int64_t step = KeyBlock(args_.shape.keys);
    for (block.key = 0; block.key < args_.shape.keys; block.key += step) {
      block.keys = std::min(step, args_.shape.keys - block.key);
      for (int64_t p = first; p < last; ++p) {
        attend(head, at_panel(block, p), s_.panels[p - first]);
        for (int i = 0; ahead != nullptr && i < kStepsAhead; ++i) ahead->step();
      }
    }
    for (int64_t p = first; p < last; ++p) finish(head, at_panel(block, p), s_.panels[p - first]);
  }

 private:
  static constexpr int kStepsAhead = 12;  // 197 tokens: ten times, two rows each

  Block at_panel(Block block, int64_t panel) const {
    block.query = panel * kQueryPanel;
    block.queries = std::min(kQueryPanel, args_.shape.queries - block.query);
    return block;
  }

  void start(const Block& block, const Int8Panel& panel) const {
    PackQueriesInt8<Dot>(
        FetchQueries(args_, block.b, block.h, {block.query, block.queries}, s_.fetched), s_.scores,
        panel.queries);
    std::fill_n(panel.maximum, kQueryPanel, -std::numeric_limits<float>::infinity());
    for (int64_t c = 0; c < kQueryPanel; ++c)
      panel.factor[c] = panel.queries.scale[c] * ExponentFactor(args_);
  }

  // One panel against one block of keys.
  void attend(const Int8Head& head, const Block& block, const Int8Panel& panel) const {
    std::copy_n(panel.maximum, kQueryPanel, s_.previous);
    ScoresInt8<Dot>(head, panel.queries, args_.shape.head_dim, block.key, block.keys, block.queries,
                    s_.scores, panel.maximum);
    SoftmaxInt8(block, panel, s_);
    AddValuesInt8<Dot>(head, block, args_.shape.head_dim, panel, s_);
  }

  void finish(const Int8Head& head, const Block& block, const Int8Panel& panel) const {
    const FloatTag d;
    const AttentionShape& shape = args_.shape;
    const int64_t width = RoundUp(shape.head_dim, kLanes);
    const HeadRows rows = QueryRows(args_, result_.o, block.b, block.h);
    for (int64_t r = 0; r < block.queries; ++r) {
      float* out = rows.row(block.query + r);
      const auto share = hn::Set(d, 1.0f / (255.0f * panel.sum[r]));
      for (int64_t i = 0; i < shape.head_dim && out != nullptr; i += kLanes) {
        const auto scale = hn::Mul(hn::LoadU(d, head.value_scale + i), share);
        const auto x = hn::MulAdd(hn::LoadU(d, panel.out + r * width + i), scale,
                                  hn::LoadU(d, head.value_mean + i));
        StorePart(x, out + i, shape.head_dim - i);
      }
      // The shift that was used, as it was rounded.
      if (result_.lse != nullptr)
        result_.lse[(block.b * shape.heads + block.h) * shape.queries + block.query + r] =
            panel.maximum[r] * panel.factor[r] * kLog2 + std::log(panel.sum[r]);
    }
  }

  const AttentionArgs& args_;
  const AttentionForward& result_;
  Int8Scratch s_;
};

int64_t Int8Workspace(const AttentionShape& shape) {
  return PackedHeadsBytes(shape, HeadInt8<WidenedDot>::head_floats(shape));
}

void ForwardInt8(Queue& queue, const AttentionArgs& args, const AttentionForward& result,
                 float* packed) {
#if VITRAIL_HAS_INT8_DOT
  if (dot_products().mixed_int8) return RunHeads<HeadInt8<MixedDot>>(queue, args, result, packed);
#endif
#if VITRAIL_HAS_SIGNED_DOT
  if (dot_products().int8) return RunHeads<HeadInt8<SignedDot>>(queue, args, result, packed);
#endif
  RunHeads<HeadInt8<WidenedDot>>(queue, args, result, packed);
}

// The scores that ran, by the same integers.
void ExactRowsInt8(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  const AttentionShape& shape = args.shape;
  const int64_t dim = shape.head_dim;
  Int8Head head_measure;
  Int8Queries query_measure;
  const int64_t head_floats = head_measure.carve(shape, nullptr);
  const int64_t query_floats = query_measure.carve(dim, nullptr);
  const int64_t gathered_floats = RoundUp(std::max(kQueryPanel * dim, FetchedFloats(args)), 16);
  const int64_t scores_floats =
      RoundUp(std::max(kQueryPanel * kKeyBlock, QueryScratchFloats(dim)), 16);
  const int64_t total = head_floats + query_floats + gathered_floats + scores_floats;
  const Tensor memory = Tensor::empty({queue.pool().num_threads(), total});
  queue.pool().parallel_for(shape.batch * shape.heads, [&](int64_t i, int worker) {
    const int64_t b = i / shape.heads, h = i % shape.heads;
    float* scores = memory.f32() + worker * total;
    float* gathered = scores + scores_floats;
    Int8Head head;
    head.carve(shape, gathered + gathered_floats);
    Int8Queries queries;
    queries.carve(dim, gathered + gathered_floats + head_floats);
    PackKeysInt8(FetchKeys(args, b, h, gathered), head);
    for (int64_t first = 0; first < rows.count; first += kQueryPanel) {
      const int64_t count = std::min(kQueryPanel, rows.count - first);
      const Lanes lanes{.count = count, .chosen = rows.queries + first};
      PackQueriesInt8<WidenedDot>(FetchQueries(args, b, h, lanes, gathered), scores, queries);
      for (int64_t key = 0; key < shape.keys; key += kKeyBlock) {
        const int64_t keys = std::min(kKeyBlock, shape.keys - key);
        ScoresInt8<WidenedDot>(head, queries, dim, key, keys, count, scores, nullptr);
        float* row = rows.rows + (i * rows.count + first) * shape.keys + key;
        transpose(scores, kQueryPanel, keys, count, row, shape.keys);
        for (int64_t r = 0; r < count; ++r, row += shape.keys) {
          CopyScaled(row, keys, queries.scale[r], row);
          FinishExactRow(args, rows, b, h, rows.queries[first + r], key, keys, nullptr, row);
        }
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(Int8Workspace);
HWY_EXPORT(ForwardInt8);
HWY_EXPORT(ExactRowsInt8);

int64_t attention_int8_workspace(const AttentionShape& shape) {
  return VITRAIL_DISPATCH(Int8Workspace)(shape);
}

void attention_int8(Queue& queue, const AttentionArgs& args, const AttentionForward& out,
                    void* workspace) {
  VITRAIL_DISPATCH(ForwardInt8)(queue, args, out, static_cast<float*>(workspace));
}

void attention_rows_int8(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  VITRAIL_DISPATCH(ExactRowsInt8)(queue, args, rows);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
