// Forward attention. The backward pass is in attention_backward.cpp, exact rows in
// attention_rows.cpp.
#include "kernels/attention.h"

#include <cmath>

#include "kernels/cpu/attention_int8.h"
#include "kernels/cpu/attention_mixing.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/attention_driver-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// K of one head, and V behind it. Float arithmetic needs the most memory.
int64_t PackedKeyFloats(const AttentionShape& s) {
  return RoundUp(s.keys * RoundUp(s.head_dim, kLanes), 16);
}
int64_t PackedHeadFloats(const AttentionShape& s) {
  return PackedKeyFloats(s) + RoundUp(s.keys * RoundUp(s.value_dim(), kLanes), 16);
}

// Running softmax of a panel, by query, and what it has summed up.
struct Panel {
  float* queries;     // [units(d), kQueryPanel]
  float* decomposed;  // terms of rows and columns, where the bias has them
  float* out;         // [kQueryPanel, RoundUp(value_dim, kLanes)]
  float* maximum;     // of the scores so far
  float* sum;         // of the exponentials relative to it
};

// What one thread needs.
struct Scratch {
  Panel panels[kPanelsPerTask];
  float* scores;    // [kKeyBlock, kQueryPanel]
  float* tile;      // of the same size: bias, then dropout
  float* previous;  // [kQueryPanel]: the maximum before this block
  float* shrink;    // [kQueryPanel]: the factor of what was summed before
  float* head;      // packed K and V, where a task packs its own
  float* fetched;   // rows of a head that do not lie in memory as they are multiplied
  float* columns;   // [d, kQueryPanel] and the products with it, for the bias by rows and columns
  float* products;

  // Returns the floats used; base may be null to measure.
  int64_t carve(const AttentionArgs& args, bool packs, float* base) {
    const AttentionShape& s = args.shape;
    Carver memory{base};
    const int64_t width = RoundUp(s.value_dim(), kLanes);
    for (Panel& panel : panels) {
      memory.take(panel.queries, s.head_dim * kQueryPanel);
      memory.take(panel.decomposed, DecomposedTermFloats(args));
      memory.take(panel.out, kQueryPanel * width);
      memory.take(panel.maximum, kQueryPanel);
      memory.take(panel.sum, kQueryPanel);
    }
    // Packing passes through it.
    memory.take(scores, kQueryPanel * std::max(kKeyBlock, RoundUp(s.head_dim, kLanes)));
    memory.take(tile, kQueryPanel * kKeyBlock);
    memory.take(previous, kQueryPanel);
    memory.take(shrink, kQueryPanel);
    memory.take(head, packs ? PackedHeadFloats(s) : 0);
    memory.take(fetched, FetchedFloats(args));
    memory.take(products, DecomposedProductFloats(args));
    memory.take(columns, args.bias.decomposed.rows == nullptr ? 0 : s.head_dim * kQueryPanel);
    return memory.used;
  }
};

// One column of vectors: scores -> exp2(factor * scores - shift), in place, as units of two keys
// where kPacking says so; returns the sum by lane.
template <Packing kPacking, class D, class V = hn::Vec<D>>
HWY_INLINE V ExpColumn(D d, float* scores, int64_t keys, V factor, V shift) {
  V even = hn::Zero(d), odd = hn::Zero(d);
  for (int64_t j = 0; j < keys; j += 2) {
    float* row = scores + j * kQueryPanel;
    const V first = Exp2(d, hn::MulSub(hn::LoadU(d, row), factor, shift));
    V second = hn::Zero(d);
    even = hn::Add(even, first);
    if (j + 1 < keys) {
      second = Exp2(d, hn::MulSub(hn::LoadU(d, row + kQueryPanel), factor, shift));
      odd = hn::Add(odd, second);
    }
    if constexpr (kPacking == Packing::pairs) {
      hn::StoreU(Pair(d, WeightBits(d, first), WeightBits(d, second)), d,
                 scores + j / 2 * kQueryPanel);
    } else {
      hn::StoreU(first, d, row);
      if (j + 1 < keys) hn::StoreU(second, d, row + kQueryPanel);
    }
  }
  return hn::Add(even, odd);
}

// Scores of a block -> exponentials relative to panel.maximum, which holds them already.
void SoftmaxStep(Packing packing, const Block& block, float factor, const Panel& panel,
                 const Scratch& scratch) {
  WithPacking(packing, [&](auto kind) HWY_ATTR {
    ForEachVector(block.queries, [&](auto d, int64_t column) HWY_ATTR {
      const auto scale = hn::Set(d, factor);
      const auto lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
      const auto before = hn::LoadU(d, scratch.previous + column);
      const auto maximum = hn::LoadU(d, panel.maximum + column);
      // A query that has seen nothing yet has nothing but -inf, whose exponential is 0.
      const auto shift = hn::IfThenZeroElse(hn::Eq(maximum, lowest), hn::Mul(maximum, scale));
      const auto shrink = Exp2(d, hn::MulSub(before, scale, shift));
      const auto total = ExpColumn<kind()>(d, scratch.scores + column, block.keys, scale, shift);
      hn::StoreU(shrink, d, scratch.shrink + column);
      hn::StoreU(hn::MulAdd(hn::LoadU(d, panel.sum + column), shrink, total), d,
                 panel.sum + column);
    });
  });
}

// Floats to units of two keys, and dropout before it.
void DropAndPack(const Arithmetic& arithmetic, const AttentionArgs& args, const Block& block,
                 const Scratch& scratch) {
  DropoutFactors(args, block, scratch.tile);
  WithPacking(arithmetic.packing, [&](auto packing) HWY_ATTR {
    ForEachVector(block.queries, [&](auto d, int64_t column) HWY_ATTR {
      const auto dropped = [&](int64_t j) HWY_ATTR {
        if (j == block.keys) return hn::Zero(d);
        const int64_t at = j * kQueryPanel + column;
        return hn::Mul(hn::LoadU(d, scratch.scores + at), hn::LoadU(d, scratch.tile + at));
      };
      for (int64_t j = 0; j < block.keys; ++j) {
        float* row = scratch.scores + j * kQueryPanel + column;
        if constexpr (packing() == Packing::pairs) {
          const auto low = dropped(j), high = dropped(j + 1);
          hn::StoreU(Pair(d, WeightBits(d, low), WeightBits(d, high)), d,
                     scratch.scores + j / 2 * kQueryPanel + column);
          ++j;
        } else {
          hn::StoreU(dropped(j), d, row);
        }
      }
    });
  });
}

// Panels of queries of one head, in one thread's memory.
class HeadForward {
 public:
  using Call = BiasTerms;
  HeadForward(const AttentionArgs& args, const BiasTerms& bias, const AttentionForward& result,
              float* scratch, bool packs)
      : args_(args), bias_(bias), result_(result), arithmetic_(ArithmeticOf(args.precision)) {
    s_.carve(args, packs, scratch);
  }

  static int64_t head_floats(const AttentionShape& shape) { return PackedHeadFloats(shape); }
  static int64_t scratch_floats(const AttentionArgs& args, bool packs) {
    Scratch measure;
    return measure.carve(args, packs, nullptr);
  }
  float* head() const { return s_.head; }

  // Rows of K as units, then V as units of two rows.
  void pack(const Block& block, float* memory) const {
    PackRows(arithmetic_, FetchKeys(args_, block.b, block.h, s_.fetched), memory);
    PackRowPairs(arithmetic_, FetchValues(args_, block.b, block.h, s_.fetched),
                 memory + PackedKeyFloats(args_.shape));
  }

  // Panels [first, last) of at most kPanelsPerTask.
  void run(const float* head, Block block, int64_t first, int64_t last, RowsAhead* ahead) const {
    for (int64_t p = first; p < last; ++p) start(at_panel(block, p), s_.panels[p - first]);
    const int64_t step = KeyBlock(args_.shape.keys);
    for (block.key = 0; block.key < args_.shape.keys; block.key += step) {
      block.keys = std::min(step, args_.shape.keys - block.key);
      for (int64_t p = first; p < last; ++p)
        attend(head, at_panel(block, p), s_.panels[p - first], ahead);
    }
    for (int64_t p = first; p < last; ++p) finish(at_panel(block, p), s_.panels[p - first]);
  }

 private:
  Block at_panel(Block block, int64_t panel) const {
    block.query = panel * kQueryPanel;
    block.queries = std::min(kQueryPanel, args_.shape.queries - block.query);
    return block;
  }

  void start(const Block& block, const Panel& panel) const {
    const Lanes lanes{block.query, block.queries};
    const RowView queries = FetchQueries(args_, block.b, block.h, lanes, s_.fetched);
    PackColumns(arithmetic_, queries, s_.scores, panel.queries);
    if (args_.bias.decomposed.rows != nullptr) {
      PackColumns({}, queries, s_.scores, s_.columns);
      bias_.decomposed_terms(s_.columns, lanes, s_.products, panel.decomposed);
    }
    std::fill_n(panel.maximum, kQueryPanel, -std::numeric_limits<float>::infinity());
    std::fill_n(panel.sum, kQueryPanel, 0.0f);
  }

  // One panel against one block of keys.
  void attend(const float* head, const Block& block, const Panel& panel, RowsAhead* ahead) const {
    // A later query sees at least as much as an earlier one.
    if (block.key > 0 && VisibleKeys(args_, block.b, block.query + block.queries - 1) <= block.key)
      return;
    const int64_t dim = args_.shape.head_dim;
    const int64_t value_dim = args_.shape.value_dim(), width = RoundUp(value_dim, kLanes);
    const bool plain = ScalesLate(args_);
    std::copy_n(panel.maximum, kQueryPanel, s_.previous);
    Multiply(arithmetic_, block.keys, block.queries,
             {.depth = arithmetic_.units(dim),
              .a = head + block.key * arithmetic_.row_units(dim),
              .a_row = arithmetic_.row_units(dim),
              .a_step = 1,
              .b = panel.queries,
              .b_row = kQueryPanel,
              .c = s_.scores,
              .c_row = kQueryPanel,
              .maximum = plain ? panel.maximum : nullptr},
             ahead);
    if (!plain)
      FinishScores(args_, block, bias_.of_block(block, panel.decomposed, s_.tile), s_.scores,
                   panel.maximum);
    const bool drops = args_.dropout.probability > 0;
    SoftmaxStep(drops ? Packing::floats : arithmetic_.packing, block, ExponentFactor(args_), panel,
                s_);
    if (drops) DropAndPack(arithmetic_, args_, block, s_);
    for (int64_t r = 0; r < block.queries && block.key > 0; ++r)
      if (s_.shrink[r] != 1.0f)
        CopyScaled(panel.out + r * width, width, s_.shrink[r], panel.out + r * width);
    Multiply(arithmetic_, block.queries, value_dim,
             {.depth = arithmetic_.units(block.keys),
              .a = s_.scores,
              .a_row = 1,
              .a_step = kQueryPanel,
              .b = head + PackedKeyFloats(args_.shape) + arithmetic_.units(block.key) * width,
              .b_row = width,
              .c = panel.out,
              .c_row = width,
              .accumulate = block.key > 0},
             ahead);
  }

  void finish(const Block& block, const Panel& panel) const {
    const AttentionShape& shape = args_.shape;
    const float factor = ExponentFactor(args_);
    const int64_t dim = shape.value_dim(), width = RoundUp(dim, kLanes);
    const HeadRows rows = QueryRows(args_, result_.o, block.b, block.h);
    for (int64_t r = 0; r < block.queries; ++r) {
      const float sum = panel.sum[r];
      const bool seen = sum != 0;  // a NaN is passed on
      float* out = rows.row(block.query + r);
      if (out == nullptr) {
        // Padding: nobody reads it.
      } else if (seen)
        CopyScaled(panel.out + r * width, dim, 1.0f / sum, out);
      else
        std::fill_n(out, dim, 0.0f);
      // The shift that was used, as it was rounded.
      if (result_.lse != nullptr)
        result_.lse[(block.b * shape.heads + block.h) * shape.queries + block.query + r] =
            seen ? panel.maximum[r] * factor * kLog2 + std::log(sum)
                 : -std::numeric_limits<float>::infinity();
    }
  }

  const AttentionArgs& args_;
  const BiasTerms& bias_;
  const AttentionForward& result_;
  const Arithmetic arithmetic_;
  Scratch s_;
};

int64_t ForwardWorkspace(const AttentionShape& shape) {
  return PackedHeadsBytes(shape, HeadForward::head_floats(shape));
}

void Forward(Queue& queue, const AttentionArgs& args, const AttentionForward& result,
             float* packed) {
  RunHeads<HeadForward>(queue, args, result, packed);
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(ForwardWorkspace);
HWY_EXPORT(Forward);

AttentionArgs attention_of_sample(const AttentionArgs& args, int64_t sample) {
  AttentionArgs one = args;
  const int64_t b = sample * args.tokens.windows;
  for (HeadView* view : {&one.q, &one.k, &one.v}) view->data += sample * view->stride[0];
  AttentionBias& bias = one.bias;
  if (bias.dense != nullptr) bias.dense += b * bias.stride[0];
  if (bias.by_key != nullptr) bias.by_key += b * bias.key_stride[0];
  if (bias.key_lengths != nullptr) bias.key_lengths += b;
  if (bias.groups.query_groups != nullptr && bias.groups.periods > args.tokens.windows) {
    // As many groups as sequences: the sample's own.
    bias.groups.query_groups += b % bias.groups.periods * args.shape.queries;
    bias.groups.key_groups += b % bias.groups.periods * args.shape.keys;
    bias.groups.periods = args.tokens.windows;
  }
  one.shape.batch = args.tokens.windows;
  return one;
}

int64_t attention_workspace(const AttentionShape& shape) {
  return std::max(VITRAIL_DISPATCH(ForwardWorkspace)(shape), attention_int8_workspace(shape));
}

void attention(Queue& queue, const AttentionArgs& args, const AttentionForward& out,
               void* workspace) {
  if (args.mixing.present()) return mixed_attention(queue, args, out.o);
  if (attends_in_int8(args)) return attention_int8(queue, args, out, workspace);
  VITRAIL_DISPATCH(Forward)(queue, args, out, static_cast<float*>(workspace));
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
