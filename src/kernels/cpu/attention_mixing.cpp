// Attention of mixed heads. A head's weights are made of all heads' scores, so a task is a panel of
// queries against all keys and heads; a softmax that sees its whole row needs no running maximum.
#include "kernels/cpu/attention_mixing.h"

#include <algorithm>
#include <cassert>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_mixing.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/attention_scores-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// Floats of each head that are mixed at once: those of 16 heads stay in L1.
constexpr int64_t kMixedFloats = 384;
static_assert(kMixedFloats % kQueryPanel == 0 && kMixedFloats % 32 == 0);

// Queries of a panel: as many as let the scores of all heads stay in L2. Fewer than 32 would leave
// the tile of a product half empty.
int64_t MixedLanes(const AttentionShape& s) {
  constexpr int64_t kFloats = int64_t{1} << 18;
  const int64_t lanes = kFloats / std::max<int64_t>(1, s.heads * s.keys) / 16 * 16;
  return std::clamp<int64_t>(lanes, 32, kQueryPanel);
}

int64_t MixedHeadFloats(const AttentionShape& s) {  // of K or V of one head
  return RoundUp(s.keys * RoundUp(s.head_dim, kLanes), 16);
}

// A mixing with its bias in a last column, [H, H + 1]: the head that it multiplies is all ones.
struct MixingMatrix {
  Tensor values;  // undefined: nothing is mixed
  int64_t depth = 0;

  MixingMatrix(const float* matrix, const float* bias, int64_t heads, float matrix_factor,
               float bias_factor) {
    if (matrix == nullptr) return;
    values = Tensor::empty({heads, heads + 1});
    depth = heads + (bias == nullptr ? 0 : 1);
    for (int64_t g = 0; g < heads; ++g) {
      float* row = values.f32() + g * (heads + 1);
      for (int64_t h = 0; h < heads; ++h) row[h] = matrix_factor * matrix[g * heads + h];
      row[heads] = bias == nullptr ? 0.0f : bias_factor * bias[g];
    }
  }
};

// What a call needs once. Mixed scores come out as exponents of two.
struct MixingCall {
  MixingMatrix before, after;
  float exponent_factor;

  explicit MixingCall(const AttentionArgs& args)
      : before(args.mixing.before, args.mixing.before_bias, args.shape.heads, args.scale * kLog2E,
               kLog2E),
        after(args.mixing.after, args.mixing.after_bias, args.shape.heads, 1, 1),
        exponent_factor(args.mixing.before == nullptr ? args.scale * kLog2E : 1.0f) {}
};

// What one thread needs.
struct MixedScratch {
  float* queries;  // [d, kQueryPanel]
  float* fetched;  // rows of a head that do not lie in memory as they are multiplied
  float* scores;   // [H][keys, lanes], then weights
  float* mixed;    // [H + 1, kMixedFloats]: a piece of each head, and ones
  float* inverse;  // [H, kQueryPanel]: 1 / the sum of a row's exponentials
  float* out;      // [kQueryPanel, RoundUp(d, kLanes)]

  // Returns the floats used; base may be null to measure.
  int64_t carve(const AttentionArgs& args, float* base) {
    const AttentionShape& s = args.shape;
    Carver memory{base};
    memory.take(queries, s.head_dim * kQueryPanel);
    memory.take(fetched, std::max(FetchedFloats(args), kQueryPanel * s.head_dim));
    memory.take(scores, s.heads * s.keys * MixedLanes(s));
    memory.take(mixed, (s.heads + 1) * kMixedFloats);
    memory.take(inverse, s.heads * kQueryPanel);
    memory.take(out, kQueryPanel * RoundUp(s.head_dim, kLanes));
    return memory.used;
  }
};

// One panel of queries.
class MixedPanel {
 public:
  MixedPanel(const AttentionArgs& args, const MixingCall& call, float* memory)
      : args_(args), call_(call), shape_(args.shape) {
    s_.carve(args, memory);
    std::fill_n(s_.mixed + shape_.heads * kMixedFloats, kMixedFloats, 1.0f);
  }

  // The weights W of these queries for the sample whose heads are packed there, [H][keys, lanes].
  // Lanes beyond the queries are computed, too, and read by nobody.
  void weigh(const float* packed, int64_t b, const Lanes& lanes) {
    stride_ = RoundUp(lanes.count, kLanes);
    const int64_t width = RoundUp(shape_.head_dim, kLanes), step = 2 * MixedHeadFloats(shape_);
    for (int64_t h = 0; h < shape_.heads; ++h) {
      PackColumns({}, FetchQueries(args_, b, h, lanes, s_.fetched), nullptr, s_.queries);
      Multiply({}, shape_.keys, lanes.count,
               {.depth = shape_.head_dim,
                .a = packed + h * step,
                .a_row = width,
                .a_step = 1,
                .b = s_.queries,
                .b_row = kQueryPanel,
                .c = scores(h),
                .c_row = stride_});
    }
    if (call_.before.values.defined()) mix(call_.before, false);
    for (int64_t h = 0; h < shape_.heads; ++h) exponentiate(h);
    if (call_.after.values.defined())
      mix(call_.after, true);
    else
      for (int64_t h = 0; h < shape_.heads; ++h) divide(h, 0, area(), scores(h));
    if (args_.mixing.norm_weight != nullptr) normalize_over_heads();
  }

  // O of those queries.
  void write_output(const float* packed, int64_t b, const Lanes& lanes, const HeadView& o) const {
    const int64_t dim = shape_.head_dim, width = RoundUp(dim, kLanes);
    const int64_t step = 2 * MixedHeadFloats(shape_);
    for (int64_t h = 0; h < shape_.heads; ++h) {
      Multiply({}, lanes.count, dim,
               {.depth = shape_.keys,
                .a = scores(h),
                .a_row = 1,
                .a_step = stride_,
                .b = packed + h * step + MixedHeadFloats(shape_),
                .b_row = width,
                .c = s_.out,
                .c_row = width});
      const HeadRows rows = QueryRows(args_, o, b, h);
      for (int64_t c = 0; c < lanes.count; ++c)
        std::copy_n(s_.out + c * width, dim, rows.row(lanes[c]));
    }
  }

  // W by query, of one head: [queries, keys].
  void write_rows(int64_t h, int64_t queries, float* rows) const {
    transpose(scores(h), stride_, shape_.keys, queries, rows, shape_.keys);
  }

 private:
  int64_t area() const { return shape_.keys * stride_; }
  float* scores(int64_t h) const { return s_.scores + h * area(); }

  // Scores of head h become exponentials relative to their largest.
  void exponentiate(int64_t h) const {
    const FloatTag d;
    const auto factor = hn::Set(d, call_.exponent_factor);
    for (int64_t column = 0; column < stride_; column += kLanes) {
      float* at = scores(h) + column;
      auto maximum = hn::LoadU(d, at);
      for (int64_t j = 1; j < shape_.keys; ++j)
        maximum = hn::Max(hn::LoadU(d, at + j * stride_), maximum);
      const auto shift = hn::Mul(maximum, factor);
      auto sum = hn::Zero(d);
      for (int64_t j = 0; j < shape_.keys; ++j) {
        const auto weight = Exp2(d, hn::MulSub(hn::LoadU(d, at + j * stride_), factor, shift));
        sum = hn::Add(sum, weight);
        hn::StoreU(weight, d, at + j * stride_);
      }
      hn::StoreU(hn::Div(hn::Set(d, 1.0f), sum), d, s_.inverse + h * kQueryPanel + column);
    }
  }

  // Exponentials of head h, elements [at, at + count), whole rows of keys, become weights.
  void divide(int64_t h, int64_t at, int64_t count, float* to) const {
    const FloatTag d;
    const float* from = scores(h) + at;
    for (int64_t column = 0; column < stride_; column += kLanes) {
      const auto inverse = hn::LoadU(d, s_.inverse + h * kQueryPanel + column);
      for (int64_t i = column; i < count; i += stride_)
        hn::StoreU(hn::Mul(hn::LoadU(d, from + i), inverse), d, to + i);
    }
  }

  // In place, a piece of every head at a time.
  void mix(const MixingMatrix& matrix, bool divides) const {
    const int64_t step = kMixedFloats / stride_ * stride_;
    for (int64_t at = 0; at < area(); at += step) {
      const int64_t count = std::min(step, area() - at);
      for (int64_t h = 0; h < shape_.heads; ++h) {
        float* to = s_.mixed + h * kMixedFloats;
        if (divides)
          divide(h, at, count, to);
        else
          std::copy_n(scores(h) + at, count, to);
      }
      Multiply({}, shape_.heads, count,
               {.depth = matrix.depth,
                .a = matrix.values.f32(),
                .a_row = shape_.heads + 1,
                .a_step = 1,
                .b = s_.mixed,
                .b_row = kMixedFloats,
                .c = s_.scores + at,
                .c_row = area()});
    }
  }

  void normalize_over_heads() const {
    const FloatTag d;
    const HeadMixing& mixing = args_.mixing;
    const auto share = hn::Set(d, 1.0f / static_cast<float>(shape_.heads));
    const auto epsilon = hn::Set(d, mixing.norm_epsilon);
    for (int64_t i = 0; i < area(); i += kLanes) {
      auto sum = hn::Zero(d), squares = hn::Zero(d);
      for (int64_t h = 0; h < shape_.heads; ++h) sum = hn::Add(sum, hn::LoadU(d, scores(h) + i));
      const auto mean = hn::Mul(sum, share);
      for (int64_t h = 0; h < shape_.heads; ++h) {
        const auto centred = hn::Sub(hn::LoadU(d, scores(h) + i), mean);
        squares = hn::MulAdd(centred, centred, squares);
      }
      const auto rstd = hn::Div(hn::Set(d, 1.0f), hn::Sqrt(hn::MulAdd(squares, share, epsilon)));
      for (int64_t h = 0; h < shape_.heads; ++h) {
        const auto normal = hn::Mul(hn::Sub(hn::LoadU(d, scores(h) + i), mean), rstd);
        hn::StoreU(
            hn::MulAdd(normal, hn::Set(d, mixing.norm_weight[h]), hn::Set(d, mixing.norm_bias[h])),
            d, scores(h) + i);
      }
    }
  }

  const AttentionArgs& args_;
  const MixingCall& call_;
  const AttentionShape& shape_;
  MixedScratch s_;
  int64_t stride_ = 0;  // floats from one key's scores to the next
};

// finish(panel, packed, b, lanes) for panels of these `count` queries (null: all in order). Heads
// of a few samples are packed at once, in at most 8 MB.
template <typename Finish>
void RunMixed(Queue& queue, const AttentionArgs& args, const int64_t* chosen, int64_t count,
              const Finish& finish) {
  const AttentionShape& s = args.shape;
  if (s.batch == 0 || count == 0 || s.keys == 0) return;
  assert(!args.bias.present() && args.tokens.windows == 1 && args.dropout.probability == 0 &&
         args.scale > 0);
  constexpr int64_t kPackedFloats = int64_t{1} << 21;
  const int64_t head_floats = 2 * MixedHeadFloats(s), sample_floats = s.heads * head_floats;
  const int64_t group = std::clamp<int64_t>(kPackedFloats / sample_floats, 1, s.batch);
  const int64_t threads = queue.pool().num_threads();
  MixedScratch measure;
  const int64_t scratch_floats = measure.carve(args, nullptr);
  const int64_t fetched_floats = FetchedFloats(args);
  const MixingCall call(args);
  const Tensor packed = Tensor::empty({group, sample_floats});
  const Tensor scratch = Tensor::empty({threads, std::max(scratch_floats, fetched_floats)});
  const auto memory_of = [&](int worker) { return scratch.f32() + worker * scratch.size(1); };
  const int64_t step = MixedLanes(s), panels = (count + step - 1) / step;
  for (int64_t begin = 0; begin < s.batch; begin += group) {
    const int64_t samples = std::min(group, s.batch - begin);
    queue.pool().parallel_for(samples * s.heads, [&](int64_t i, int worker) {
      const int64_t b = begin + i / s.heads, h = i % s.heads;
      float* to = packed.f32() + i * head_floats;
      PackRows({}, FetchKeys(args, b, h, memory_of(worker)), to);
      PackRows({}, FetchValues(args, b, h, memory_of(worker)), to + MixedHeadFloats(s));
    });
    queue.pool().parallel_for(samples * panels, [&](int64_t i, int worker) {
      const int64_t sample = i / panels, first = i % panels * step;
      const Lanes lanes{.first = first,
                        .count = std::min(step, count - first),
                        .chosen = chosen == nullptr ? nullptr : chosen + first};
      const float* heads = packed.f32() + sample * sample_floats;
      MixedPanel panel(args, call, memory_of(worker));
      panel.weigh(heads, begin + sample, lanes);
      finish(panel, heads, begin + sample, lanes, first);
    });
  }
}

void MixedForward(Queue& queue, const AttentionArgs& args, const HeadView& o) {
  RunMixed(queue, args, nullptr, args.shape.queries,
           [&](const MixedPanel& panel, const float* packed, int64_t b, const Lanes& lanes,
               int64_t) { panel.write_output(packed, b, lanes, o); });
}

void MixedRows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  const AttentionShape& s = args.shape;
  RunMixed(
      queue, args, rows.queries, rows.count,
      [&](const MixedPanel& panel, const float*, int64_t b, const Lanes& lanes, int64_t first) {
        for (int64_t h = 0; h < s.heads; ++h)
          panel.write_rows(h, lanes.count,
                           rows.rows + ((b * s.heads + h) * rows.count + first) * s.keys);
      });
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(MixedForward);
HWY_EXPORT(MixedRows);

void mixed_attention(Queue& queue, const AttentionArgs& args, const HeadView& o) {
  VITRAIL_DISPATCH(MixedForward)(queue, args, o);
}

void mixed_attention_rows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  VITRAIL_DISPATCH(MixedRows)(queue, args, rows);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
