// LayerNorm of one row, for the kernel of that name and for products that normalise their left
// operand on the way in. Per-target code.
#if defined(VITRAIL_KERNELS_CPU_LAYER_NORM_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_KERNELS_CPU_LAYER_NORM_ROW_INL_H_
#undef VITRAIL_KERNELS_CPU_LAYER_NORM_ROW_INL_H_
#else
#define VITRAIL_KERNELS_CPU_LAYER_NORM_ROW_INL_H_
#endif

#include <cmath>

#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"
#include "kernels/layer_norm.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

struct RowStatistics {
  float mean, rstd;
};

// y = (x - mean) rstd gamma + beta; y may be x.
HWY_INLINE RowStatistics NormalizeRow(const RowNorm& norm, int64_t dim, const float* x, float* y) {
  const hn::ScalableTag<float> d;
  const float count = static_cast<float>(dim);
  float mean = 0;
  if (norm.kind == NormKind::layer)
    mean = SumRange(
               d, dim, [](auto v) { return v; }, x) /
           count;
  const auto center = hn::Set(d, mean);
  const auto square = [&](auto v) {
    const auto difference = hn::Sub(v, center);
    return hn::Mul(difference, difference);
  };
  const float variance = SumRange(d, dim, square, x) / count;
  const float rstd = 1.0f / std::sqrt(variance + norm.epsilon);
  const auto factor = hn::Set(d, rstd);
  const auto normalize = [&](auto v) { return hn::Mul(hn::Sub(v, center), factor); };
  if (norm.gamma != nullptr && norm.beta != nullptr)
    Transform(
        d, y, dim,
        [&](auto v, auto gamma, auto beta) { return hn::MulAdd(normalize(v), gamma, beta); }, x,
        norm.gamma, norm.beta);
  else if (norm.gamma != nullptr)
    Transform(
        d, y, dim, [&](auto v, auto gamma) { return hn::Mul(normalize(v), gamma); }, x, norm.gamma);
  else if (norm.beta != nullptr)
    Transform(
        d, y, dim, [&](auto v, auto beta) { return hn::Add(normalize(v), beta); }, x, norm.beta);
  else
    Transform(d, y, dim, normalize, x);
  return {mean, rstd};
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target guard
