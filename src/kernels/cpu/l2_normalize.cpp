#include "kernels/l2_normalize.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/l2_normalize.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

void L2NormalizeRow(const L2NormalizeArgs& args, int64_t row) {
  const hn::ScalableTag<float> d;
  const float* x = args.x + row * args.dim;
  const float squares = SumRange(
      d, args.dim, [](auto v) { return hn::Mul(v, v); }, x);
  const float norm = std::max(std::sqrt(squares), args.epsilon);
  if (args.norm != nullptr) args.norm[row] = norm;
  const auto factor = hn::Set(d, (args.gain == nullptr ? 1.0f : args.gain[row]) / norm);
  Transform(
      d, args.y + row * args.dim, args.dim, [&](auto v) { return hn::Mul(v, factor); }, x);
}

void L2NormalizeBackwardRow(const L2NormalizeBackwardArgs& args, int64_t row) {
  const hn::ScalableTag<float> d;
  const float* x = args.x + row * args.dim;
  const float* dy = args.dy + row * args.dim;
  const float norm = args.norm[row];
  const float along = SumRange(
                          d, args.dim, [](auto u, auto v) { return hn::Mul(u, v); }, x, dy) /
                      norm;  // u.dy
  if (args.dgain != nullptr) args.dgain[row] += along;
  if (args.dx == nullptr) return;
  const auto factor = hn::Set(d, (args.gain == nullptr ? 1.0f : args.gain[row]) / norm);
  const auto back = hn::Set(d, norm > args.epsilon ? -along / norm : 0.0f);
  Transform(
      d, args.dx + row * args.dim, args.dim,
      [&](auto v, auto g) { return hn::Mul(hn::MulAdd(v, back, g), factor); }, x, dy);
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {

HWY_EXPORT(L2NormalizeRow);
HWY_EXPORT(L2NormalizeBackwardRow);

void l2_normalize(Queue& queue, const L2NormalizeArgs& args) {
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.dim),
                               [&](int64_t begin, int64_t end) {
                                 for (int64_t row = begin; row < end; ++row)
                                   VITRAIL_DISPATCH(L2NormalizeRow)(args, row);
                               });
}

void l2_normalize_backward(Queue& queue, const L2NormalizeBackwardArgs& args) {
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.dim),
                               [&](int64_t begin, int64_t end) {
                                 for (int64_t row = begin; row < end; ++row)
                                   VITRAIL_DISPATCH(L2NormalizeBackwardRow)(args, row);
                               });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
