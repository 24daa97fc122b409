#include "kernels/batch_norm.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/batch_norm.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/channel_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

constexpr int64_t kRun = 64;  // rows: with few channels a run stays in the first cache

int64_t Runs(const BatchNormSize& size) {
  return (size.rows + kRun - 1) / kRun;
}

// body(run, its first row, its rows), by all threads.
template <class Body>
void ForEachRun(Queue& queue, const BatchNormSize& size, Body&& body) {
  queue.pool().parallel_for(Runs(size), [&](int64_t run, int) {
    const int64_t first = run * kRun;
    body(run, first, std::min(kRun, size.rows - first));
  });
}

void BatchStatistics(Queue& queue, const BatchStatisticsArgs& args) {
  const int64_t channels = args.size.channels, runs = Runs(args.size);
  const Tensor sums = Tensor::empty({2, runs, channels});
  float* means = sums.f32();
  float* squares = means + runs * channels;
  ForEachRun(queue, args.size, [&](int64_t run, int64_t first, int64_t rows) {
    const float* x = args.x + first * channels;
    float* own_means = means + run * channels;
    float* own_squares = squares + run * channels;
    ForEachRegister(0, channels, [&](int64_t c, auto load, auto store) HWY_ATTR {
      const auto sum =
          SumRows(rows, channels, [&](int64_t at) HWY_ATTR { return load(x + at + c); });
      const auto mean = hn::Div(sum, hn::Set(ChannelTag(), static_cast<float>(rows)));
      store(mean, own_means + c);
      store(SumRows(rows, channels,
                    [&](int64_t at) HWY_ATTR {
                      const auto difference = hn::Sub(load(x + at + c), mean);
                      return hn::Mul(difference, difference);
                    }),
            own_squares + c);
    });
  });
  for (int64_t c = 0; c < channels; ++c) {
    double mean = 0, square = 0, count = 0;
    for (int64_t run = 0; run < runs; ++run) {
      const double own = static_cast<double>(std::min(kRun, args.size.rows - run * kRun));
      const double difference = means[run * channels + c] - mean, all = count + own;
      square += squares[run * channels + c] + difference * difference * count * own / all;
      mean += difference * own / all;
      count = all;
    }
    args.mean[c] = static_cast<float>(mean);
    args.variance[c] = static_cast<float>(square / count);
  }
}

float Rstd(float variance, float epsilon) {
  return 1.0f / std::sqrt(variance + epsilon);
}

void BatchNorm(Queue& queue, const BatchNormArgs& args) {
  const int64_t channels = args.size.channels;
  const Tensor scale = Tensor::empty({channels});
  for (int64_t c = 0; c < channels; ++c)
    scale.f32()[c] = args.gamma[c] * Rstd(args.variance[c], args.epsilon);
  ForEachRun(queue, args.size, [&](int64_t, int64_t first, int64_t rows) {
    const int64_t at = first * channels;
    WriteNormalised({.rows = rows,
                     .channels = channels,
                     .x = args.x + at,
                     .residual = args.residual == nullptr ? nullptr : args.residual + at,
                     .y = args.y + at,
                     .mean = args.mean,
                     .scale = scale.f32(),
                     .shift = args.beta},
                    args.relu, 0, channels);
  });
}

template <bool kRelu>
void BackwardOf(Queue& queue, const BatchNormBackwardArgs& args) {
  const int64_t channels = args.size.channels, runs = Runs(args.size);
  const Tensor factors = Tensor::empty({3, channels});
  float* rate = factors.f32();
  float* even = rate + channels;
  float* tilt = even + channels;
  const auto rows_from = [&](int64_t first, int64_t rows) {
    const int64_t at = first * channels;
    return NormalisedGradient{
        .rows = rows,
        .channels = channels,
        .x = args.x + at,
        .y = kRelu ? args.y + at : nullptr,
        .dy = args.dy + at,
        .dx = args.dx == nullptr ? nullptr : args.dx + at,
        .dresidual = args.dresidual == nullptr ? nullptr : args.dresidual + at,
        .mean = args.mean,
        .rate = rate,
        .even = even,
        .tilt = tilt};
  };
  const Tensor sums = Tensor::empty({2, runs, channels});
  float* sums_d = sums.f32();
  float* sums_dx = sums_d + runs * channels;
  ForEachRun(queue, args.size, [&](int64_t run, int64_t first, int64_t rows) {
    SumGradient<kRelu>(rows_from(first, rows), 0, channels, sums_d + run * channels,
                       sums_dx + run * channels);
  });
  const auto count = static_cast<double>(args.size.rows);
  for (int64_t c = 0; c < channels; ++c) {
    double sum_d = 0, sum_dn = 0;
    for (int64_t run = 0; run < runs; ++run) {
      sum_d += sums_d[run * channels + c];
      sum_dn += sums_dx[run * channels + c];
    }
    const double rstd = Rstd(args.variance[c], args.epsilon), factor = rstd * args.gamma[c];
    sum_dn *= rstd;
    if (args.dgamma != nullptr) args.dgamma[c] += static_cast<float>(sum_dn);
    if (args.dbeta != nullptr) args.dbeta[c] += static_cast<float>(sum_d);
    rate[c] = static_cast<float>(factor);
    even[c] = args.of_batch ? static_cast<float>(factor * sum_d / count) : 0.0f;
    tilt[c] = args.of_batch ? static_cast<float>(factor * rstd * sum_dn / count) : 0.0f;
  }
  if (args.dx == nullptr && args.dresidual == nullptr) return;
  ForEachRun(queue, args.size, [&](int64_t, int64_t first, int64_t rows) {
    WriteGradient<kRelu>(rows_from(first, rows), 0, channels);
  });
}

void BatchNormBackward(Queue& queue, const BatchNormBackwardArgs& args) {
  args.y != nullptr ? BackwardOf<true>(queue, args) : BackwardOf<false>(queue, args);
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {

HWY_EXPORT(BatchStatistics);
HWY_EXPORT(BatchNorm);
HWY_EXPORT(BatchNormBackward);

void batch_statistics(Queue& queue, const BatchStatisticsArgs& args) {
  assert(args.size.rows > 0);
  VITRAIL_DISPATCH(BatchStatistics)(queue, args);
}

void batch_norm(Queue& queue, const BatchNormArgs& args) {
  VITRAIL_DISPATCH(BatchNorm)(queue, args);
}

void batch_norm_backward(Queue& queue, const BatchNormBackwardArgs& args) {
  assert(args.dresidual == nullptr || args.dresidual != args.dx);
  VITRAIL_DISPATCH(BatchNormBackward)(queue, args);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
