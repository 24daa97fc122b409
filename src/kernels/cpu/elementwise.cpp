#include "kernels/elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

void ScaleSpan(int64_t count, float factor, const float* x, float* out) {
  const hn::ScalableTag<float> d;
  const auto factors = hn::Set(d, factor);
  Transform(
      d, out, count, [&](auto v) { return hn::Mul(v, factors); }, x);
}

void AddSpan(int64_t count, const float* a, const float* b, float* out) {
  const hn::ScalableTag<float> d;
  Transform(
      d, out, count, [](auto u, auto v) { return hn::Add(u, v); }, a, b);
}

void MultiplySpan(int64_t count, const float* a, const float* b, float* out) {
  const hn::ScalableTag<float> d;
  Transform(
      d, out, count, [](auto u, auto v) { return hn::Mul(u, v); }, a, b);
}

void AddScaledSpan(const AddScaledArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const auto factor = hn::Set(d, args.scale);
  Transform(
      d, args.out + begin, end - begin, [&](auto u, auto v) { return hn::MulAdd(v, factor, u); },
      args.a + begin, args.b + begin);
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>

#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {

HWY_EXPORT(ScaleSpan);
HWY_EXPORT(AddSpan);
HWY_EXPORT(MultiplySpan);
HWY_EXPORT(AddScaledSpan);

void fill(Queue& queue, int64_t count, float value, float* out) {
  queue.pool().parallel_ranges(count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    std::fill(out + begin, out + end, value);
  });
}

void scale(Queue& queue, int64_t count, float factor, const float* x, float* out) {
  queue.pool().parallel_ranges(count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(ScaleSpan)(end - begin, factor, x + begin, out + begin);
  });
}

void add(Queue& queue, const BinaryArgs& args) {
  queue.pool().parallel_ranges(args.count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(AddSpan)(end - begin, args.a + begin, args.b + begin, args.out + begin);
  });
}

void multiply(Queue& queue, const BinaryArgs& args) {
  queue.pool().parallel_ranges(args.count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(MultiplySpan)(end - begin, args.a + begin, args.b + begin, args.out + begin);
  });
}

void add_scaled(Queue& queue, const AddScaledArgs& args) {
  queue.pool().parallel_ranges(args.count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(AddScaledSpan)(args, begin, end);
  });
}

void add_broadcast(Queue& queue, const BroadcastArgs& args) {
  queue.pool().parallel_ranges(
      args.rows, rows_per_chunk(args.dim), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) VITRAIL_DISPATCH(AddSpan)
        (args.dim, args.x + row * args.dim, args.vector + row % args.period * args.dim,
         args.out + row * args.dim);
      });
}

void multiply_broadcast(Queue& queue, const BroadcastArgs& args) {
  queue.pool().parallel_ranges(
      args.rows, rows_per_chunk(args.dim), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) VITRAIL_DISPATCH(MultiplySpan)
        (args.dim, args.x + row * args.dim, args.vector + row % args.period * args.dim,
         args.out + row * args.dim);
      });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
