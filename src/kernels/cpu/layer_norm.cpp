#include "kernels/layer_norm.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/layer_norm.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/layer_norm_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

void LayerNormRows(const LayerNormArgs& args, int64_t begin, int64_t end) {
  const RowNorm norm{args.kind, args.epsilon, args.gamma, args.beta};
  for (int64_t row = begin; row < end; ++row) {
    const RowStatistics statistics =
        NormalizeRow(norm, args.dim, args.x + row * args.x_stride, args.y + row * args.y_stride);
    if (args.mean != nullptr && args.kind == NormKind::layer) args.mean[row] = statistics.mean;
    if (args.rstd != nullptr) args.rstd[row] = statistics.rstd;
  }
}

// dgamma and dbeta are this chunk's own sums here, or null.
void LayerNormBackwardRows(const LayerNormBackwardArgs& args, int64_t begin, int64_t end,
                           float* dgamma, float* dbeta) {
  const hn::ScalableTag<float> d;
  const float count = static_cast<float>(args.dim);
  const bool centered = args.kind == NormKind::layer;
  for (int64_t row = begin; row < end; ++row) {
    const float* x = args.x + row * args.x_stride;
    const float* dy = args.dy + row * args.dy_stride;
    const auto center = hn::Set(d, centered ? args.mean[row] : 0.0f);
    const auto factor = hn::Set(d, args.rstd[row]);
    const auto normalize = [&](auto v) { return hn::Mul(hn::Sub(v, center), factor); };
    if (dgamma != nullptr)
      Transform(
          d, dgamma, args.dim,
          [&](auto sum, auto gradient, auto v) { return hn::MulAdd(gradient, normalize(v), sum); },
          dgamma, dy, x);
    if (dbeta != nullptr)
      Transform(
          d, dbeta, args.dim, [](auto sum, auto gradient) { return hn::Add(sum, gradient); }, dbeta,
          dy);
    if (args.dx == nullptr) continue;
    // With `weight` standing for gamma, or for ones.
    const auto write_dx = [&](auto weigh, auto... gamma) {
      float mean_g = 0;
      if (centered)
        mean_g = SumRange(
                     d, args.dim, [&](auto gradient, auto... w) { return weigh(gradient, w...); },
                     dy, gamma...) /
                 count;
      const float mean_gn = SumRange(
                                d, args.dim,
                                [&](auto gradient, auto v, auto... w) {
                                  return hn::Mul(weigh(gradient, w...), normalize(v));
                                },
                                dy, x, gamma...) /
                            count;
      const auto offset = hn::Set(d, mean_g), slope = hn::Set(d, mean_gn);
      float* dx = args.dx + row * args.dx_stride;
      const auto derive = [&](auto gradient, auto v, auto... w) {
        const auto g = hn::Sub(weigh(gradient, w...), offset);
        return hn::Mul(factor, hn::NegMulAdd(normalize(v), slope, g));
      };
      if (args.accumulate_dx)
        Transform(
            d, dx, args.dim, [&](auto sum, auto... in) { return hn::Add(sum, derive(in...)); }, dx,
            dy, x, gamma...);
      else
        Transform(d, dx, args.dim, derive, dy, x, gamma...);
    };
    if (args.gamma != nullptr)
      write_dx([](auto gradient, auto gamma) { return hn::Mul(gradient, gamma); }, args.gamma);
    else
      write_dx([](auto gradient) { return gradient; });
  }
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {

HWY_EXPORT(LayerNormRows);
HWY_EXPORT(LayerNormBackwardRows);

void layer_norm(Queue& queue, const LayerNormArgs& args) {
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.dim),
                               [&](int64_t begin, int64_t end) {
                                 VITRAIL_DISPATCH(LayerNormRows)(args, begin, end);
                               });
}

void layer_norm_backward(Queue& queue, const LayerNormBackwardArgs& args) {
  if (args.rows == 0) return;
  // At most 64 partial sums, each over at least 16 rows: they stay in cache and joining is cheap.
  const int64_t rows = std::max<int64_t>(16, (args.rows + 63) / 64);
  const int64_t chunks = (args.rows + rows - 1) / rows;
  const bool wants_gamma = args.dgamma != nullptr, wants_beta = args.dbeta != nullptr;
  Tensor partial;
  if (wants_gamma || wants_beta) partial = Tensor::zeros({2, chunks, args.dim});
  float* gamma_sums = wants_gamma ? partial.f32() : nullptr;
  float* beta_sums = wants_beta ? partial.f32() + chunks * args.dim : nullptr;
  queue.pool().parallel_for(chunks, [&](int64_t chunk, int) {
    const int64_t at = chunk * args.dim;
    VITRAIL_DISPATCH(LayerNormBackwardRows)
    (args, chunk * rows, std::min(args.rows, (chunk + 1) * rows),
     wants_gamma ? gamma_sums + at : nullptr, wants_beta ? beta_sums + at : nullptr);
  });
  const auto join = [&](float* sums, float* out) {
    for (int64_t chunk = 1; chunk < chunks; ++chunk)
      for (int64_t j = 0; j < args.dim; ++j) sums[j] += sums[chunk * args.dim + j];
    for (int64_t j = 0; j < args.dim; ++j) out[j] += sums[j];
  };
  if (wants_gamma) join(gamma_sums, args.dgamma);
  if (wants_beta) join(beta_sums, args.dbeta);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
