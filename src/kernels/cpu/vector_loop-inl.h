// Loops over contiguous floats with their tails, compiled once per target: the kernels say only
// what happens to a vector. No lane outside [0, count) is read or written.
#if defined(VITRAIL_KERNELS_CPU_VECTOR_LOOP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_KERNELS_CPU_VECTOR_LOOP_INL_H_
#undef VITRAIL_KERNELS_CPU_VECTOR_LOOP_INL_H_
#else
#define VITRAIL_KERNELS_CPU_VECTOR_LOOP_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The first `count` < Lanes(d) floats; the other lanes hold zero. Through a small buffer, because a
// masked load may touch what lies beyond on targets without memory masks.
template <class D>
HWY_INLINE hn::Vec<D> LoadTail(D d, const float* from, size_t count) {
  HWY_ALIGN float buffer[HWY_MAX_BYTES / sizeof(float)] = {};
  for (size_t i = 0; i < count; ++i) buffer[i] = from[i];
  return hn::Load(d, buffer);
}

template <class D>
HWY_INLINE void StoreTail(D d, hn::Vec<D> v, float* to, size_t count) {
  HWY_ALIGN float buffer[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(v, d, buffer);
  for (size_t i = 0; i < count; ++i) to[i] = buffer[i];
}

// to[i] = body(from[i]...). `to` may be one of the operands.
template <class D, class Body, class... Operands>
HWY_INLINE void Transform(D d, float* to, int64_t count, Body&& body, const Operands*... from) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(body(hn::LoadU(d, from + i)...), d, to + i);
  const size_t rest = static_cast<size_t>(count - i);
  if (rest != 0) StoreTail(d, body(LoadTail(d, from + i, rest)...), to + i, rest);
}

// Calls body(i, load, store) for each vector of [begin, end): load(pointer) gives a vector of
// floats, zeros beyond `end`, and store(vector, pointer) puts one back.
template <class Body>
HWY_INLINE void ForEachRegister(int64_t begin, int64_t end, Body&& body) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes)
    body(
        i, [&](const float* from) HWY_ATTR { return hn::LoadU(d, from); },
        [&](auto v, float* to) HWY_ATTR { hn::StoreU(v, d, to); });
  const size_t rest = static_cast<size_t>(end - i);
  if (rest != 0)
    body(
        i, [&](const float* from) HWY_ATTR { return LoadTail(d, from, rest); },
        [&](auto v, float* to) HWY_ATTR { StoreTail(d, v, to, rest); });
}

// Sum over i of body(from[i]...), with four accumulators joined in a fixed order.
template <class D, class Body, class... Operands>
HWY_INLINE float SumRange(D d, int64_t count, Body&& body, const Operands*... from) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d), sum3 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    sum0 = hn::Add(sum0, body(hn::LoadU(d, from + i)...));
    sum1 = hn::Add(sum1, body(hn::LoadU(d, from + i + lanes)...));
    sum2 = hn::Add(sum2, body(hn::LoadU(d, from + i + 2 * lanes)...));
    sum3 = hn::Add(sum3, body(hn::LoadU(d, from + i + 3 * lanes)...));
  }
  for (; i + lanes <= count; i += lanes) sum0 = hn::Add(sum0, body(hn::LoadU(d, from + i)...));
  const size_t rest = static_cast<size_t>(count - i);
  if (rest != 0)
    sum1 = hn::Add(sum1,
                   hn::IfThenElseZero(hn::FirstN(d, rest), body(LoadTail(d, from + i, rest)...)));
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3))));
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target guard
