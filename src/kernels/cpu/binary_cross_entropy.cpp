#include "kernels/binary_cross_entropy.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/binary_cross_entropy.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"
#include "kernels/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

float BinaryTarget(const BinaryTargets& how, int64_t classes, int64_t row, int64_t c) {
  const CrossEntropyTargets& t = how.targets;
  const float plain = t.soft != nullptr ? t.soft[row * classes + c] : t.labels[row] == c ? 1 : 0;
  const float smooth =
      (1 - t.label_smoothing) * plain + t.label_smoothing / static_cast<float>(classes);
  return how.binarize ? (smooth > how.threshold ? 1.0f : 0.0f) : smooth;
}

void BinaryCrossEntropyRows(const BinaryCrossEntropyArgs& args, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    double sum = 0;
    for (int64_t c = 0; c < args.classes; ++c) {
      const double x = args.logits[row * args.classes + c];
      // std::log1p: a confident answer's loss is far below f32's epsilon beside 1.
      sum += std::max(x, 0.0) - x * BinaryTarget(args.targets, args.classes, row, c) +
             std::log1p(std::exp(-std::abs(x)));
    }
    args.loss[row] = static_cast<float>(sum);
  }
}

void BinaryCrossEntropyBackwardRows(const BinaryCrossEntropyBackwardArgs& args, int64_t begin,
                                    int64_t end) {
  const hn::ScalableTag<float> d;
  for (int64_t row = begin; row < end; ++row) {
    float* dx = args.dlogits + row * args.classes;
    const float row_scale = args.scale * args.dloss[row];
    Transform(
        d, dx, args.classes, [&](auto x) { return Sigmoid(d, x); },
        args.logits + row * args.classes);
    for (int64_t c = 0; c < args.classes; ++c)
      dx[c] = row_scale * (dx[c] - BinaryTarget(args.targets, args.classes, row, c));
  }
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {

HWY_EXPORT(BinaryCrossEntropyRows);
HWY_EXPORT(BinaryCrossEntropyBackwardRows);

void binary_cross_entropy(Queue& queue, const BinaryCrossEntropyArgs& args) {
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.classes),
                               [&](int64_t begin, int64_t end) {
                                 VITRAIL_DISPATCH(BinaryCrossEntropyRows)(args, begin, end);
                               });
}

void binary_cross_entropy_backward(Queue& queue, const BinaryCrossEntropyBackwardArgs& args) {
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.classes),
                               [&](int64_t begin, int64_t end) {
                                 VITRAIL_DISPATCH(BinaryCrossEntropyBackwardRows)(args, begin, end);
                               });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
