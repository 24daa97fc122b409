// Forward attention and its exact rows. The backward pass is in attention_backward.cpp.
#include "kernels/attention.h"

#include <cassert>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/attention_block-inl.h"
#include "kernels/cpu/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// Workspace: per head the panels of K^T, then those of V.
int64_t PackedKeyFloats(const AttentionShape& s) {
  return RoundUp(s.keys, kPanelWidth) * s.head_dim;
}
int64_t PackedValueFloats(const AttentionShape& s) {
  return RoundUp(s.head_dim, kPanelWidth) * s.keys;
}
int64_t PackedHeadFloats(const AttentionShape& s) {
  return RoundUp(PackedKeyFloats(s) + PackedValueFloats(s), 16);
}
int64_t ForwardWorkspace(const AttentionShape& s) {
  return s.batch * s.heads * PackedHeadFloats(s) * static_cast<int64_t>(sizeof(float));
}

// Running softmax of one query: its maximum so far, the sum of exponentials relative to it.
struct RowState {
  float maximum = -std::numeric_limits<float>::infinity();
  float sum = 0;
};

// scores -> exp(scale * scores - maximum); returns the factor by which earlier sums shrink. `padded`
// is a multiple of the vector length.
HWY_INLINE float SoftmaxStep(float* HWY_RESTRICT scores, int64_t padded, float scale,
                             RowState& state) {
  const FloatTag d;
  auto highest = hn::LoadU(d, scores);
  for (int64_t j = kLanes; j < padded; j += kLanes)
    highest = hn::Max(highest, hn::LoadU(d, scores + j));
  const float maximum = std::max(state.maximum, scale * hn::GetLane(hn::MaxOfLanes(d, highest)));
  if (maximum == -std::numeric_limits<float>::infinity()) {  // nothing visible yet
    std::fill_n(scores, padded, 0.0f);
    return 1.0f;
  }
  const auto factor = hn::Set(d, scale);
  const auto shift = hn::Set(d, maximum);
  auto total = hn::Zero(d);
  for (int64_t j = 0; j < padded; j += kLanes) {
    const auto p = Exp(d, hn::MulSub(hn::LoadU(d, scores + j), factor, shift));
    hn::StoreU(p, d, scores + j);
    total = hn::Add(total, p);
  }
  const float shrink = maximum == state.maximum ? 1.0f : std::exp(state.maximum - maximum);
  state.sum = state.sum * shrink + hn::GetLane(hn::SumOfLanes(d, total));
  state.maximum = maximum;
  return shrink;
}

void Scale(float* HWY_RESTRICT row, int64_t count, float factor) {
  const FloatTag d;
  const auto f = hn::Set(d, factor);
  for (int64_t i = 0; i < count; i += kLanes)
    hn::StoreU(hn::Mul(hn::LoadU(d, row + i), f), d, row + i);
}

struct Block {
  int64_t b, h, first, rows;
  const float* keys;    // panels of K^T
  const float* values;  // panels of V
};

// Pointers of one thread; out_width is head_dim rounded up to whole vectors.
struct Scratch {
  float* scores;  // [kQueryBlock, kKeyBlock]
  float* out;     // [kQueryBlock, out_width]
  int64_t out_width;
};

void ForwardBlock(const AttentionArgs& args, const AttentionForward& result, const Block& block,
                  const Scratch& scratch) {
  const AttentionShape& shape = args.shape;
  const int64_t dim = shape.head_dim;
  RowState states[kQueryBlock];
  // Where every key is seen and nothing is added, the scale goes into the exponential.
  const bool plain = IsPlain(args.bias) && args.scale > 0;
  const float* q = Head(args.q, block.b, block.h) + block.first * args.q.stride[2];
  for (int64_t key = 0; key < shape.keys; key += kKeyBlock) {
    const int64_t keys = std::min(kKeyBlock, shape.keys - key);
    const int64_t padded = RoundUp(keys, kLanes);
    Multiply({.a = q,
              .a_stride = args.q.stride[2],
              .rows = block.rows,
              .k_size = dim,
              .panels = block.keys + key * dim,
              .panel_step = kPanelWidth * dim,
              .columns = keys,
              .out = scratch.scores,
              .out_stride = kKeyBlock,
              .accumulate = false});
    for (int64_t r = 0; r < block.rows; ++r) {
      float* scores = scratch.scores + r * kKeyBlock;
      if (!plain) FinishScores(args, block.b, block.h, block.first + r, key, padded, scores);
      std::fill(scores + keys, scores + padded, -std::numeric_limits<float>::infinity());
      const float shrink = SoftmaxStep(scores, padded, plain ? args.scale : 1.0f, states[r]);
      if (key > 0 && shrink != 1.0f)
        Scale(scratch.out + r * scratch.out_width, scratch.out_width, shrink);
      if (args.dropout.probability > 0) {
        float factors[kKeyBlock];
        DropoutFactors(args, block.b, block.h, block.first + r, key, keys, factors);
        for (int64_t j = 0; j < keys; ++j) scores[j] *= factors[j];
      }
    }
    Multiply({.a = scratch.scores,
              .a_stride = kKeyBlock,
              .rows = block.rows,
              .k_size = keys,
              .panels = block.values + key * kPanelWidth,
              .panel_step = kPanelWidth * shape.keys,
              .columns = dim,
              .out = scratch.out,
              .out_stride = scratch.out_width,
              .accumulate = key > 0});
  }
  for (int64_t r = 0; r < block.rows; ++r) {
    const RowState& state = states[r];
    const bool seen = state.sum > 0 && shape.keys > 0;
    float* out = Head(result.o, block.b, block.h) + (block.first + r) * result.o.stride[2];
    if (seen) {
      Scale(scratch.out + r * scratch.out_width, scratch.out_width, 1.0f / state.sum);
      std::copy_n(scratch.out + r * scratch.out_width, dim, out);
    } else {
      std::fill_n(out, dim, 0.0f);
    }
    if (result.lse != nullptr)
      result.lse[(block.b * shape.heads + block.h) * shape.queries + block.first + r] =
          seen ? state.maximum + std::log(state.sum) : -std::numeric_limits<float>::infinity();
  }
}

void Forward(Queue& queue, const AttentionArgs& args, const AttentionForward& result,
             float* packed) {
  const AttentionShape& shape = args.shape;
  const int64_t heads = shape.batch * shape.heads;
  const int64_t head_floats = PackedHeadFloats(shape);
  const int64_t key_floats = PackedKeyFloats(shape);
  queue.pool().parallel_for(heads, [&](int64_t i, int) {
    const int64_t b = i / shape.heads, h = i % shape.heads;
    float* panels = packed + i * head_floats;
    PackTransposed(Head(args.k, b, h), shape.keys, shape.head_dim, args.k.stride[2], panels);
    PackStraight(Head(args.v, b, h), shape.keys, shape.head_dim, args.v.stride[2],
                 panels + key_floats);
  });
  const int64_t out_width = RoundUp(shape.head_dim, kLanes);
  const int64_t scratch_floats = kQueryBlock * (kKeyBlock + out_width);
  const Tensor scratch = Tensor::empty({queue.pool().num_threads(), scratch_floats});
  const int64_t blocks = (shape.queries + kQueryBlock - 1) / kQueryBlock;
  queue.pool().parallel_for(heads * blocks, [&](int64_t i, int worker) {
    const int64_t head = i / blocks, first = i % blocks * kQueryBlock;
    float* memory = scratch.f32() + worker * scratch_floats;
    ForwardBlock(
        args, result,
        {.b = head / shape.heads,
         .h = head % shape.heads,
         .first = first,
         .rows = std::min(kQueryBlock, shape.queries - first),
         .keys = packed + head * head_floats,
         .values = packed + head * head_floats + key_floats},
        {.scores = memory, .out = memory + kQueryBlock * kKeyBlock, .out_width = out_width});
  });
}

// Rows are independent: one task takes a handful of rows of one head.
constexpr int64_t kRowsPerTask = 8;

template <typename Body>
void ForEachRow(Queue& queue, const AttentionShape& shape, const AttentionRows& rows, Body body) {
  const int64_t groups = (rows.count + kRowsPerTask - 1) / kRowsPerTask;
  queue.pool().parallel_for(shape.batch * shape.heads * groups, [&](int64_t i, int) {
    const int64_t head = i / groups, first = i % groups * kRowsPerTask;
    for (int64_t r = first; r < std::min(rows.count, first + kRowsPerTask); ++r)
      body(head / shape.heads, head % shape.heads, rows.queries[r],
           rows.rows + (head * rows.count + r) * shape.keys);
  });
}

// row[0, keys) holds q k^T of keys [key, key + keys): it becomes exp(scale * q k^T + bias - lse).
void FinishExactRow(const AttentionArgs& args, const AttentionRows& rows, int64_t b, int64_t h,
                    int64_t query, int64_t key, int64_t keys, float* row) {
  const FloatTag d;
  const AttentionShape& shape = args.shape;
  const float lse = rows.lse[(b * shape.heads + h) * shape.queries + query];
  const bool seen = lse != -std::numeric_limits<float>::infinity();
  const auto shift = hn::Set(d, seen ? lse : 0.0f);
  const auto finish = [&](float* scores, int64_t first) HWY_ATTR {
    FinishScores(args, b, h, query, first, kLanes, scores);
    hn::StoreU(Exp(d, hn::Sub(hn::LoadU(d, scores), shift)), d, scores);
  };
  const int64_t whole = keys / kLanes * kLanes;
  for (int64_t j = 0; j < whole; j += kLanes) finish(row + j, key + j);
  if (whole == keys) return;
  HWY_ALIGN float tail[kLanes] = {};
  std::copy(row + whole, row + keys, tail);
  finish(tail, key + whole);
  std::copy_n(tail, keys - whole, row + whole);
}

// A few rows: a dot product for each key, with no packing.
void FewRows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  const AttentionShape& shape = args.shape;
  ForEachRow(queue, shape, rows, [&](int64_t b, int64_t h, int64_t query, float* row) {
    const float* q = Head(args.q, b, h) + query * args.q.stride[2];
    const float* k = Head(args.k, b, h);
    for (int64_t j = 0; j < shape.keys; ++j)
      row[j] = Dot(q, k + j * args.k.stride[2], shape.head_dim);
    FinishExactRow(args, rows, b, h, query, 0, shape.keys, row);
  });
}

// Many rows: the tiles of the forward pass, on packed keys.
void ManyRows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  const AttentionShape& shape = args.shape;
  const int64_t dim = shape.head_dim, heads = shape.batch * shape.heads;
  const int64_t key_floats = RoundUp(PackedKeyFloats(shape), 16);
  const Tensor packed = Tensor::empty({heads, key_floats});
  queue.pool().parallel_for(heads, [&](int64_t i, int) {
    PackTransposed(Head(args.k, i / shape.heads, i % shape.heads), shape.keys, dim,
                   args.k.stride[2], packed.f32() + i * key_floats);
  });
  const int64_t scratch_floats = kQueryBlock * (kKeyBlock + dim);
  const Tensor scratch = Tensor::empty({queue.pool().num_threads(), scratch_floats});
  const int64_t blocks = (rows.count + kQueryBlock - 1) / kQueryBlock;
  queue.pool().parallel_for(heads * blocks, [&](int64_t i, int worker) {
    const int64_t head = i / blocks, b = head / shape.heads, h = head % shape.heads;
    const int64_t first = i % blocks * kQueryBlock;
    const int64_t count = std::min(kQueryBlock, rows.count - first);
    float* scores = scratch.f32() + worker * scratch_floats;
    float* queries = scores + kQueryBlock * kKeyBlock;
    for (int64_t r = 0; r < count; ++r)
      std::copy_n(Head(args.q, b, h) + rows.queries[first + r] * args.q.stride[2], dim,
                  queries + r * dim);
    for (int64_t key = 0; key < shape.keys; key += kKeyBlock) {
      const int64_t keys = std::min(kKeyBlock, shape.keys - key);
      Multiply({.a = queries,
                .a_stride = dim,
                .rows = count,
                .k_size = dim,
                .panels = packed.f32() + head * key_floats + key * dim,
                .panel_step = kPanelWidth * dim,
                .columns = keys,
                .out = scores,
                .out_stride = kKeyBlock,
                .accumulate = false});
      for (int64_t r = 0; r < count; ++r) {
        float* row = rows.rows + (head * rows.count + first + r) * shape.keys + key;
        std::copy_n(scores + r * kKeyBlock, keys, row);
        FinishExactRow(args, rows, b, h, rows.queries[first + r], key, keys, row);
      }
    }
  });
}

void Rows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  if (rows.count < kTileRows)
    FewRows(queue, args, rows);
  else
    ManyRows(queue, args, rows);
}

void RowGradients(Queue& queue, const AttentionArgs& args, const HeadView& d_o,
                  const AttentionRows& rows) {
  const AttentionShape& shape = args.shape;
  ForEachRow(queue, shape, rows, [&](int64_t b, int64_t h, int64_t query, float* row) {
    const float* gradient = Head(d_o, b, h) + query * d_o.stride[2];
    const float* v = Head(args.v, b, h);
    for (int64_t j = 0; j < shape.keys; ++j)
      row[j] = Dot(gradient, v + j * args.v.stride[2], shape.head_dim);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(ForwardWorkspace);
HWY_EXPORT(Forward);
HWY_EXPORT(Rows);
HWY_EXPORT(RowGradients);

int64_t attention_workspace(const AttentionShape& shape) {
  return VITRAIL_DISPATCH(ForwardWorkspace)(shape);
}

void attention(Queue& queue, const AttentionArgs& args, const AttentionForward& out,
               void* workspace) {
  VITRAIL_DISPATCH(Forward)(queue, args, out, static_cast<float*>(workspace));
}

void attention_rows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows) {
  VITRAIL_DISPATCH(Rows)(queue, args, rows);
}

void attention_row_gradients(Queue& queue, const AttentionArgs& args, const HeadView& d_o,
                             const AttentionRows& rows) {
  VITRAIL_DISPATCH(RowGradients)(queue, args, d_o, rows);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
