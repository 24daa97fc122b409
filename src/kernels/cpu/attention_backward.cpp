// Backward attention: P is recomputed from q, k and the saved log-sum-exp, block by block.
//
// With D_i = sum(dO_i * O_i):  dV = P^T dO,  dP = dO V^T,  dS = P * (dP - D),
// dQ = scale * dS K,  dK = scale * dS^T Q,  dbias = dS                      (Dao et al. 2022, B.4)
#include <cassert>
#include <cmath>

#include "kernels/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_backward.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/attention_block-inl.h"
#include "kernels/cpu/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// What one thread needs for one head, carved from the workspace in this order.
struct HeadScratch {
  float* k_transposed;  // panels, columns are keys
  float* v_transposed;
  float* k;  // panels, columns are features
  float* q;
  float* d_o;
  float* dk;  // [keys, width] sums
  float* dv;
  float* scores;          // [kQueryBlock, kKeyBlock]: P, then dropped P
  float* score_gradient;  // [kQueryBlock, kKeyBlock]: dP, then scale * dS
  float* transposed;      // [kKeyBlock, kQueryBlock]
  float* dq;              // [kQueryBlock, width]
  int64_t width;

  // Returns the floats used; base may be null to measure.
  int64_t carve(const AttentionShape& s, float* base) {
    width = RoundUp(s.head_dim, kPanelWidth);
    int64_t used = 0;
    const auto take = [&](float*& field, int64_t count) {
      field = base == nullptr ? nullptr : base + used;
      used += RoundUp(count, 16);
    };
    const int64_t key_panels = RoundUp(s.keys, kPanelWidth) * s.head_dim;
    take(k_transposed, key_panels);
    take(v_transposed, key_panels);
    take(k, s.keys * width);
    take(q, s.queries * width);
    take(d_o, s.queries * width);
    take(dk, s.keys * width);
    take(dv, s.keys * width);
    take(scores, kQueryBlock * kKeyBlock);
    take(score_gradient, kQueryBlock * kKeyBlock);
    take(transposed, kQueryBlock * kKeyBlock);
    take(dq, kQueryBlock * width);
    return used;
  }
};

int64_t BackwardFloats(const AttentionShape& shape) {
  HeadScratch scratch;
  return scratch.carve(shape, nullptr);
}

// One row: scores -> P (with dropout), score_gradient (dP) -> scale * dS; dS also into dbias.
// When this block holds the whole row, D is taken as sum(P * dP) / sum(P) over the very P used here
// instead of sum(dO * O): then dS sums to zero whatever exp rounds, and the gradient of a key's
// bias, zero by symmetry, has a third of the noise (measured on the tiny golden models).
void SoftmaxBackwardRow(const AttentionArgs& args, const AttentionBackward& grad, int64_t b,
                        int64_t h, int64_t query, int64_t key, int64_t keys, float delta,
                        float* HWY_RESTRICT scores, float* HWY_RESTRICT score_gradient) {
  const FloatTag d;
  const int64_t padded = RoundUp(keys, kLanes);
  FinishScores(args, b, h, query, key, padded, scores);
  const float lse = grad.lse[(b * args.shape.heads + h) * args.shape.queries + query];
  const bool seen = lse != -std::numeric_limits<float>::infinity();
  const auto shift = hn::Set(d, seen ? lse : 0.0f);
  const bool drops = args.dropout.probability > 0;
  HWY_ALIGN float factors[kKeyBlock];
  if (drops) {
    DropoutFactors(args, b, h, query, key, keys, factors);
    std::fill(factors + keys, factors + padded, 0.0f);
  }
  auto weighted = hn::Zero(d), total = hn::Zero(d);
  for (int64_t j = 0; j < padded; j += kLanes) {
    const auto p = Exp(d, hn::Sub(hn::LoadU(d, scores + j), shift));
    auto dp = hn::LoadU(d, score_gradient + j);
    if (drops) {
      dp = hn::Mul(dp, hn::LoadU(d, factors + j));
      hn::StoreU(dp, d, score_gradient + j);
    }
    hn::StoreU(p, d, scores + j);
    weighted = hn::MulAdd(p, dp, weighted);
    total = hn::Add(total, p);
  }
  float centre = delta;
  const float sum = hn::GetLane(hn::SumOfLanes(d, total));
  if (keys == args.shape.keys && sum > 0) centre = hn::GetLane(hn::SumOfLanes(d, weighted)) / sum;
  const auto mean = hn::Set(d, centre);
  for (int64_t j = 0; j < padded; j += kLanes) {
    const auto p = hn::LoadU(d, scores + j);
    const auto dp = hn::LoadU(d, score_gradient + j);
    hn::StoreU(hn::Mul(p, hn::Sub(dp, mean)), d, score_gradient + j);
    if (drops) hn::StoreU(hn::Mul(p, hn::LoadU(d, factors + j)), d, scores + j);
  }
  if (grad.dbias != nullptr) {
    const auto& s = grad.dbias_stride;
    float* target = grad.dbias + b * s[0] + h * s[1] + query * s[2] + key * s[3];
    for (int64_t j = 0; j < keys; ++j) target[j * s[3]] += score_gradient[j];
  }
  const auto scale = hn::Set(d, args.scale);
  for (int64_t j = 0; j < padded; j += kLanes)
    hn::StoreU(hn::Mul(hn::LoadU(d, score_gradient + j), scale), d, score_gradient + j);
}

void CopyRows(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
              int64_t to_stride) {
  for (int64_t r = 0; r < rows; ++r)
    std::copy_n(from + r * from_stride, columns, to + r * to_stride);
}

void BackwardHead(const AttentionArgs& args, const AttentionBackward& grad, int64_t b, int64_t h,
                  const HeadScratch& s) {
  const AttentionShape& shape = args.shape;
  const int64_t dim = shape.head_dim;
  const float* q = Head(args.q, b, h);
  const float* k = Head(args.k, b, h);
  const float* v = Head(args.v, b, h);
  const float* o = Head(grad.o, b, h);
  const float* d_o = Head(grad.d_o, b, h);
  PackTransposed(k, shape.keys, dim, args.k.stride[2], s.k_transposed);
  PackTransposed(v, shape.keys, dim, args.v.stride[2], s.v_transposed);
  PackStraight(k, shape.keys, dim, args.k.stride[2], s.k);
  PackStraight(q, shape.queries, dim, args.q.stride[2], s.q);
  PackStraight(d_o, shape.queries, dim, grad.d_o.stride[2], s.d_o);
  std::fill_n(s.dk, shape.keys * s.width, 0.0f);
  std::fill_n(s.dv, shape.keys * s.width, 0.0f);

  for (int64_t first = 0; first < shape.queries; first += kQueryBlock) {
    const int64_t rows = std::min(kQueryBlock, shape.queries - first);
    float delta[kQueryBlock];
    for (int64_t r = 0; r < rows; ++r)
      delta[r] = Dot(d_o + (first + r) * grad.d_o.stride[2], o + (first + r) * grad.o.stride[2], dim);
    for (int64_t key = 0; key < shape.keys; key += kKeyBlock) {
      const int64_t keys = std::min(kKeyBlock, shape.keys - key);
      BlockProduct product{.a = q + first * args.q.stride[2],
                           .a_stride = args.q.stride[2],
                           .rows = rows,
                           .k_size = dim,
                           .panels = s.k_transposed + key * dim,
                           .panel_step = kPanelWidth * dim,
                           .columns = keys,
                           .out = s.scores,
                           .out_stride = kKeyBlock,
                           .accumulate = false};
      Multiply(product);
      product.a = d_o + first * grad.d_o.stride[2];
      product.a_stride = grad.d_o.stride[2];
      product.panels = s.v_transposed + key * dim;
      product.out = s.score_gradient;
      Multiply(product);
      for (int64_t r = 0; r < rows; ++r)
        SoftmaxBackwardRow(args, grad, b, h, first + r, key, keys, delta[r],
                           s.scores + r * kKeyBlock, s.score_gradient + r * kKeyBlock);
      Multiply({.a = s.score_gradient,
                .a_stride = kKeyBlock,
                .rows = rows,
                .k_size = keys,
                .panels = s.k + key * kPanelWidth,
                .panel_step = kPanelWidth * shape.keys,
                .columns = dim,
                .out = s.dq,
                .out_stride = s.width,
                .accumulate = key > 0});
      BlockProduct by_key{.a = s.transposed,
                          .a_stride = kQueryBlock,
                          .rows = keys,
                          .k_size = rows,
                          .panels = s.d_o + first * kPanelWidth,
                          .panel_step = kPanelWidth * shape.queries,
                          .columns = dim,
                          .out = s.dv + key * s.width,
                          .out_stride = s.width,
                          .accumulate = true};
      transpose(s.scores, kKeyBlock, rows, keys, s.transposed, kQueryBlock);
      Multiply(by_key);
      transpose(s.score_gradient, kKeyBlock, rows, keys, s.transposed, kQueryBlock);
      by_key.panels = s.q + first * kPanelWidth;
      by_key.out = s.dk + key * s.width;
      Multiply(by_key);
    }
    float* dq = Head(grad.dq, b, h) + first * grad.dq.stride[2];
    if (shape.keys > 0)
      CopyRows(s.dq, s.width, rows, dim, dq, grad.dq.stride[2]);
    else
      for (int64_t r = 0; r < rows; ++r) std::fill_n(dq + r * grad.dq.stride[2], dim, 0.0f);
  }
  CopyRows(s.dk, s.width, shape.keys, dim, Head(grad.dk, b, h), grad.dk.stride[2]);
  CopyRows(s.dv, s.width, shape.keys, dim, Head(grad.dv, b, h), grad.dv.stride[2]);
}

void Backward(Queue& queue, const AttentionArgs& args, const AttentionBackward& grad,
              float* workspace) {
  const AttentionShape& shape = args.shape;
  const int64_t per_thread = BackwardFloats(shape);
  // Heads that add to the same bias gradient run one after the other, in a fixed order.
  const bool shares_batch = grad.dbias != nullptr && grad.dbias_stride[0] == 0;
  const bool shares_heads = grad.dbias != nullptr && grad.dbias_stride[1] == 0;
  const int64_t batch_tasks = shares_batch ? 1 : shape.batch;
  const int64_t head_tasks = shares_heads ? 1 : shape.heads;
  queue.pool().parallel_for(batch_tasks * head_tasks, [&](int64_t i, int worker) {
    HeadScratch scratch;
    scratch.carve(shape, workspace + worker * per_thread);
    const int64_t b0 = i / head_tasks, h0 = i % head_tasks;
    for (int64_t b = b0; b < (shares_batch ? shape.batch : b0 + 1); ++b)
      for (int64_t h = h0; h < (shares_heads ? shape.heads : h0 + 1); ++h)
        BackwardHead(args, grad, b, h, scratch);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(BackwardFloats);
HWY_EXPORT(Backward);

int64_t attention_backward_workspace(Queue& queue, const AttentionShape& shape) {
  return queue.pool().num_threads() * VITRAIL_DISPATCH(BackwardFloats)(shape) *
         static_cast<int64_t>(sizeof(float));
}

void attention_backward(Queue& queue, const AttentionArgs& args, const AttentionBackward& grad,
                        void* workspace) {
  VITRAIL_DISPATCH(Backward)(queue, args, grad, static_cast<float*>(workspace));
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
