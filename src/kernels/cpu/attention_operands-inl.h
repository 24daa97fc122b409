// Rows of heads between memory and what is multiplied: tokens by their index, norms, rotation, and
// all that backwards (kernels/attention_operands.h). Where there is none of it, a head is read and
// written where it lies.
//
// Per-target code: included once for each instruction set.
#include <algorithm>
#include <cmath>

#include "hwy/highway.h"

#if defined(VITRAIL_ATTENTION_OPERANDS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_ATTENTION_OPERANDS_INL_H_
#undef VITRAIL_ATTENTION_OPERANDS_INL_H_
#else
#define VITRAIL_ATTENTION_OPERANDS_INL_H_
#endif

#include "kernels/cpu/attention_block-inl.h"
#include "kernels/cpu/layer_norm_row-inl.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// Queries in the lanes of a panel: neighbours from `first` on, or those that somebody chose.
struct Lanes {
  int64_t first = 0, count = 0;
  const int64_t* chosen = nullptr;
  int64_t operator[](int64_t c) const { return chosen != nullptr ? chosen[c] : first + c; }
};

// The mean and the factor that a norm takes from a row: n = (x - mean) * factor.
struct HeadStatistics {
  float mean = 0, factor = 1;
};
// n of a row; n may be x.
inline HeadStatistics NormalizeHead(const HeadNorm& norm, int64_t dim, const float* x, float* n) {
  switch (norm.kind) {
    case HeadNormKind::none:
      if (n != x) std::copy_n(x, dim, n);
      return {};
    case HeadNormKind::layer:
    case HeadNormKind::rms: {
      const bool layer = norm.kind == HeadNormKind::layer;
      const RowNorm row{.kind = layer ? NormKind::layer : NormKind::root_mean_square,
                        .epsilon = norm.epsilon};
      const RowStatistics statistics = NormalizeRow(row, dim, x, n);
      return {statistics.mean, statistics.rstd};
    }
    case HeadNormKind::l2:
      break;
  }
  const float squares = SumRange(
      FloatTag(), dim, [](auto v) HWY_ATTR { return hn::Mul(v, v); }, x);
  const float factor = 1.0f / std::max(std::sqrt(squares), norm.epsilon);
  CopyScaled(x, dim, factor, n);
  return {0, factor};
}

// x = weight * x + bias, of a row that has been normalised.
inline void ShiftHead(const HeadNorm& norm, int64_t dim, float* x) {
  const FloatTag d;
  if (norm.weight != nullptr)
    Transform(
        d, x, dim, [](auto v, auto w) HWY_ATTR { return hn::Mul(v, w); }, x, norm.weight);
  if (norm.bias != nullptr)
    Transform(
        d, x, dim, [](auto v, auto b) HWY_ATTR { return hn::Add(v, b); }, x, norm.bias);
}

// Turns the pairs of a row by the angle of token n, or back by it.
inline void RotateHead(const Rotary& rotary, int64_t h, int64_t n, int64_t dim, bool back,
                       float* x) {
  if (rotary.cosine == nullptr || n < rotary.prefix) return;
  const int64_t half = dim / 2, at = h * rotary.head_stride + (n - rotary.prefix) * half;
  const float* cosine = rotary.cosine + at;
  const float* sine = rotary.sine + at;
  if (rotary.interleaved) {
    const FloatTag d;
    int64_t i = 0;
    for (; i + kLanes <= half; i += kLanes) {
      hn::Vec<FloatTag> a, b;
      hn::LoadInterleaved2(d, x + 2 * i, a, b);
      const auto c = hn::LoadU(d, cosine + i);
      const auto s = back ? hn::Neg(hn::LoadU(d, sine + i)) : hn::LoadU(d, sine + i);
      hn::StoreInterleaved2(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)),
                            hn::Add(hn::Mul(b, c), hn::Mul(a, s)), d, x + 2 * i);
    }
    for (; i < half; ++i) {
      const float a = x[2 * i], b = x[2 * i + 1], s = back ? -sine[i] : sine[i];
      x[2 * i] = a * cosine[i] - b * s;
      x[2 * i + 1] = b * cosine[i] + a * s;
    }
    return;
  }
  ForEachRegister(0, half, [&](int64_t i, auto load, auto store) HWY_ATTR {
    const auto a = load(x + i), b = load(x + half + i), c = load(cosine + i);
    const auto s = back ? hn::Neg(load(sine + i)) : load(sine + i);
    store(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), x + i);
    store(hn::Add(hn::Mul(b, c), hn::Mul(a, s)), x + half + i);
  });
}

// A row of q or k as it is multiplied. With LayerNorm and RMSNorm, the very arithmetic of the
// kernel of that name.
inline void TransformHead(const HeadTransform& transform, int64_t h, int64_t n, int64_t dim,
                          float* x) {
  const HeadNorm& norm = transform.norm;
  if (norm.kind == HeadNormKind::layer || norm.kind == HeadNormKind::rms) {
    const bool layer = norm.kind == HeadNormKind::layer;
    NormalizeRow({.kind = layer ? NormKind::layer : NormKind::root_mean_square,
                  .epsilon = norm.epsilon,
                  .gamma = norm.weight,
                  .beta = norm.bias},
                 dim, x, x);
  } else {
    NormalizeHead(norm, dim, x, x);
    ShiftHead(norm, dim, x);
  }
  if (norm.gain != nullptr) CopyScaled(x, dim, norm.gain[h], x);
  RotateHead(transform.rotary, h, n, dim, false, x);
}

// Rows of one head of an operand or a result, by token.
class HeadRows {
 public:
  HeadRows(const HeadView& view, const AttentionTokens& tokens, const int32_t* rows, int64_t count,
           int64_t b, int64_t h)
      : stride_(view.stride[2]) {
    const int64_t windows = tokens.windows;
    base_ = Head(view, windows == 1 ? b : b / windows, h);
    if (rows != nullptr) rows_ = rows + (windows == 1 ? 0 : b % windows * count);
    if (view.padding != nullptr) padding_ = view.padding + h * view.stride[1];
  }

  bool in_order() const { return rows_ == nullptr; }
  int64_t stride() const { return stride_; }
  // Null where the token has no row.
  float* row(int64_t n) const {
    if (rows_ == nullptr) return base_ + n * stride_;
    return rows_[n] < 0 ? nullptr : base_ + rows_[n] * stride_;
  }
  // What stands for it then; null: zeros.
  const float* padding() const { return padding_; }
  void read(int64_t n, int64_t dim, float* out) const {
    const float* from = row(n);
    if (from == nullptr) from = padding_;
    if (from == nullptr)
      std::fill_n(out, dim, 0.0f);
    else
      std::copy_n(from, dim, out);
  }

 private:
  float* base_;
  const int32_t* rows_ = nullptr;
  const float* padding_ = nullptr;
  int64_t stride_;
};
inline HeadRows QueryRows(const AttentionArgs& args, const HeadView& view, int64_t b, int64_t h) {
  return {view, args.tokens, args.tokens.query_rows, args.shape.queries, b, h};
}
inline HeadRows KeyRows(const AttentionArgs& args, const HeadView& view, int64_t b, int64_t h) {
  return {view, args.tokens, args.tokens.key_rows, args.shape.keys, b, h};
}

// Whether all operands lie in memory as they are multiplied.
inline bool ReadsInPlace(const AttentionArgs& args) {
  return args.tokens.windows == 1 && args.tokens.query_rows == nullptr &&
         args.tokens.key_rows == nullptr && !args.q_transform.present() &&
         !args.k_transform.present();
}
// Floats of the memory that fetching needs: of all keys, and of a panel's queries.
inline int64_t FetchedFloats(const AttentionArgs& args) {
  if (ReadsInPlace(args)) return 0;
  const AttentionShape& s = args.shape;
  return std::max(s.keys, kQueryPanel) * std::max(s.head_dim, s.value_dim());
}

// The tokens in `lanes` of head h as they are multiplied: where they lie, or in `memory`.
inline RowView FetchRows(const HeadRows& rows, const HeadTransform& transform, int64_t h,
                         const Lanes& lanes, int64_t dim, float* memory) {
  if (rows.in_order() && !transform.present() && lanes.chosen == nullptr)
    return {rows.row(lanes.first), rows.stride(), lanes.count, dim};
  for (int64_t c = 0; c < lanes.count; ++c) {
    float* x = memory + c * dim;
    rows.read(lanes[c], dim, x);
    if (transform.present()) TransformHead(transform, h, lanes[c], dim, x);
  }
  return {memory, dim, lanes.count, dim};
}
inline RowView FetchQueries(const AttentionArgs& args, int64_t b, int64_t h, const Lanes& lanes,
                            float* memory) {
  return FetchRows(QueryRows(args, args.q, b, h), args.q_transform, h, lanes, args.shape.head_dim,
                   memory);
}
inline RowView FetchKeys(const AttentionArgs& args, int64_t b, int64_t h, float* memory) {
  return FetchRows(KeyRows(args, args.k, b, h), args.k_transform, h, {.count = args.shape.keys},
                   args.shape.head_dim, memory);
}
inline RowView FetchValues(const AttentionArgs& args, int64_t b, int64_t h, float* memory) {
  return FetchRows(KeyRows(args, args.v, b, h), {}, h, {.count = args.shape.keys},
                   args.shape.value_dim(), memory);
}

// From the gradient of what was multiplied to that of what was read, in place. `x` is what was
// read; it is overwritten. The sums are of one head: weight and bias [d], gain [1], angles
// [N - prefix, d/2]; each may be null.
inline void TransformBackward(const HeadTransform& transform, int64_t h, int64_t n, int64_t dim,
                              const HeadTransformGradient& sums, float* x, float* scratch,
                              float* dy) {
  const FloatTag d;
  const HeadNorm& norm = transform.norm;
  const HeadStatistics statistics = NormalizeHead(norm, dim, x, x);
  RotateHead(transform.rotary, h, n, dim, true, dy);
  const auto product = [](auto a, auto b) HWY_ATTR { return hn::Mul(a, b); };
  const float gain = norm.gain == nullptr ? 1.0f : norm.gain[h];
  if (sums.angles != nullptr || sums.gain != nullptr) {
    float* y = scratch;  // before gain and rotation
    std::copy_n(x, dim, y);
    ShiftHead(norm, dim, y);
    if (sums.gain != nullptr) *sums.gain += SumRange(d, dim, product, dy, y);
    if (sums.angles != nullptr && n >= transform.rotary.prefix) {
      const int64_t half = dim / 2;
      float* angles = sums.angles + (n - transform.rotary.prefix) * half;
      const int64_t step = transform.rotary.interleaved ? 2 : 1;
      const int64_t other = transform.rotary.interleaved ? 1 : half;
      for (int64_t i = 0; i < half; ++i)
        angles[i] +=
            gain * (dy[i * step + other] * y[i * step] - dy[i * step] * y[i * step + other]);
    }
  }
  if (norm.gain != nullptr) CopyScaled(dy, dim, gain, dy);
  if (sums.bias != nullptr)
    Transform(
        d, sums.bias, dim, [](auto s, auto g) HWY_ATTR { return hn::Add(s, g); }, sums.bias, dy);
  if (sums.weight != nullptr)
    Transform(
        d, sums.weight, dim, [](auto s, auto g, auto v) HWY_ATTR { return hn::MulAdd(g, v, s); },
        sums.weight, dy, x);
  if (norm.weight != nullptr) Transform(d, dy, dim, product, dy, norm.weight);
  if (norm.kind == HeadNormKind::none) return;
  const float share = norm.kind == HeadNormKind::l2 ? 1.0f : 1.0f / static_cast<float>(dim);
  const float mean = norm.kind == HeadNormKind::layer
                         ? SumRange(
                               d, dim, [](auto v) HWY_ATTR { return v; }, dy) *
                               share
                         : 0.0f;
  // A row shorter than epsilon is divided by that, a constant.
  const bool constant = norm.kind == HeadNormKind::l2 && statistics.factor * norm.epsilon >= 1.0f;
  const float along = constant ? 0.0f : SumRange(d, dim, product, dy, x) * share;
  const auto centre = hn::Set(d, mean), part = hn::Set(d, along);
  const auto factor = hn::Set(d, statistics.factor);
  Transform(
      d, dy, dim,
      [&](auto g, auto v)
          HWY_ATTR { return hn::Mul(factor, hn::NegMulAdd(v, part, hn::Sub(g, centre))); },
      dy, x);
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
