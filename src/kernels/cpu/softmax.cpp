#include "kernels/softmax.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/softmax.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"
#include "kernels/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

template <class D>
float RowMaximum(D d, int64_t count, const float* x) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  float largest = x[0];
  int64_t i = 0;
  if (count >= lanes) {
    auto best = hn::LoadU(d, x);
    for (i = lanes; i + lanes <= count; i += lanes) best = hn::Max(best, hn::LoadU(d, x + i));
    largest = hn::GetLane(hn::MaxOfLanes(d, best));
  }
  for (; i < count; ++i) largest = std::max(largest, x[i]);
  return largest;
}

// y = exp(x - largest); returns the sum.
template <class D>
float RowExponentials(D d, int64_t count, float largest, const float* x, float* y) {
  const auto shift = hn::Set(d, largest);
  Transform(
      d, y, count, [&](auto v) { return Exp(d, hn::Sub(v, shift)); }, x);
  return SumRange(
      d, count, [](auto v) { return v; }, y);
}

template <class D>
void ScaleRow(D d, int64_t count, float factor, float* y) {
  const auto factors = hn::Set(d, factor);
  Transform(
      d, y, count, [&](auto v) { return hn::Mul(v, factors); }, y);
}

void SoftmaxRows(const SoftmaxArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  for (int64_t row = begin; row < end; ++row) {
    const float* x = args.x + row * args.classes;
    float* y = args.y + row * args.classes;
    const float largest = RowMaximum(d, args.classes, x);
    ScaleRow(d, args.classes, 1.0f / RowExponentials(d, args.classes, largest, x, y), y);
  }
}

void SoftmaxBackwardRows(const SoftmaxBackwardArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  for (int64_t row = begin; row < end; ++row) {
    const float* y = args.y + row * args.classes;
    const float* dy = args.dy + row * args.classes;
    const auto dot =
        hn::Set(d, SumRange(
                       d, args.classes, [](auto a, auto b) { return hn::Mul(a, b); }, y, dy));
    Transform(
        d, args.dx + row * args.classes, args.classes,
        [&](auto a, auto b) { return hn::Mul(a, hn::Sub(b, dot)); }, y, dy);
  }
}

void CrossEntropyRows(const CrossEntropyArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const int64_t classes = args.classes;
  const double smoothing = args.targets.label_smoothing;
  for (int64_t row = begin; row < end; ++row) {
    const float* x = args.logits + row * classes;
    const float largest = RowMaximum(d, classes, x);
    const auto shift = hn::Set(d, largest);
    // With z = x - largest, -log softmax = log(sum exp z) - z. Everything that reads the logits
    // comes before the probabilities, which may take their place.
    double smooth_loss = 0;
    if (smoothing > 0)
      smooth_loss = -SumRange(
                        d, classes, [&](auto v) { return hn::Sub(v, shift); }, x) /
                    double(classes);
    double target_sum = 1, target_dot;
    if (args.targets.soft != nullptr) {
      const float* soft = args.targets.soft + row * classes;
      target_sum = SumRange(
          d, classes, [](auto t) { return t; }, soft);
      target_dot = SumRange(
          d, classes, [&](auto v, auto t) { return hn::Mul(t, hn::Sub(v, shift)); }, x, soft);
    } else {
      target_dot = x[args.targets.labels[row]] - largest;
    }
    double sum;
    if (args.probabilities != nullptr) {
      float* p = args.probabilities + row * classes;
      sum = RowExponentials(d, classes, largest, x, p);
      ScaleRow(d, classes, static_cast<float>(1.0 / sum), p);
    } else {
      sum = SumRange(
          d, classes, [&](auto v) { return Exp(d, hn::Sub(v, shift)); }, x);
    }
    const double log_sum = std::log(sum);
    args.loss[row] = static_cast<float>((1 - smoothing) * (target_sum * log_sum - target_dot) +
                                        smoothing * (log_sum + smooth_loss));
  }
}

void CrossEntropyBackwardRows(const CrossEntropyBackwardArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const int64_t classes = args.classes;
  const float smoothing = args.targets.label_smoothing;
  const auto uniform = hn::Set(d, smoothing / static_cast<float>(classes));
  const auto keep = hn::Set(d, 1 - smoothing);
  for (int64_t row = begin; row < end; ++row) {
    const float* p = args.probabilities + row * classes;
    float* dx = args.dlogits + row * classes;
    const float row_scale = args.scale * (args.dloss != nullptr ? args.dloss[row] : 1.0f);
    const auto factor = hn::Set(d, row_scale);
    if (args.targets.soft != nullptr) {
      const float* soft = args.targets.soft + row * classes;
      const float soft_sum = SumRange(
          d, classes, [](auto t) { return t; }, soft);
      const auto target_sum = hn::Set(d, (1 - smoothing) * soft_sum + smoothing);
      Transform(
          d, dx, classes,
          [&](auto v, auto t) {
            return hn::Mul(factor, hn::MulSub(v, target_sum, hn::MulAdd(keep, t, uniform)));
          },
          p, soft);
    } else {
      Transform(
          d, dx, classes, [&](auto v) { return hn::Mul(factor, hn::Sub(v, uniform)); }, p);
      dx[args.targets.labels[row]] -= row_scale * (1 - smoothing);
    }
  }
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {

HWY_EXPORT(SoftmaxRows);
HWY_EXPORT(SoftmaxBackwardRows);
HWY_EXPORT(CrossEntropyRows);
HWY_EXPORT(CrossEntropyBackwardRows);

void softmax(Queue& queue, const SoftmaxArgs& args) {
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.classes),
                               [&](int64_t begin, int64_t end) {
                                 VITRAIL_DISPATCH(SoftmaxRows)(args, begin, end);
                               });
}

void softmax_backward(Queue& queue, const SoftmaxBackwardArgs& args) {
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.classes),
                               [&](int64_t begin, int64_t end) {
                                 VITRAIL_DISPATCH(SoftmaxBackwardRows)(args, begin, end);
                               });
}

void softmax_cross_entropy(Queue& queue, const CrossEntropyArgs& args) {
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.classes),
                               [&](int64_t begin, int64_t end) {
                                 VITRAIL_DISPATCH(CrossEntropyRows)(args, begin, end);
                               });
}

void softmax_cross_entropy_backward(Queue& queue, const CrossEntropyBackwardArgs& args) {
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.classes),
                               [&](int64_t begin, int64_t end) {
                                 VITRAIL_DISPATCH(CrossEntropyBackwardRows)(args, begin, end);
                               });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
