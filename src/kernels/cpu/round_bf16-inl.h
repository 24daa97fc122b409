// Rounding to bf16, and rows that are paired for dot products of two.
//
// Per-target code: included once for each instruction set.
#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"

#if defined(VITRAIL_ROUND_BF16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_ROUND_BF16_INL_H_
#undef VITRAIL_ROUND_BF16_INL_H_
#else
#define VITRAIL_ROUND_BF16_INL_H_
#endif

#include "kernels/cpu/gemm_panel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

using BitsTag = hn::RebindToUnsigned<FloatTag>;
using Bits = hn::Vec<BitsTag>;

// The bits of x rounded to bf16 (nearest, ties to even), in the upper half; NaN stays NaN.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> RoundToBf16(D d, hn::Vec<D> x) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  const auto rounded = hn::Add(hn::Add(bits, hn::Set(du, 0x7fffu)), odd);
  const auto nan = hn::Or(bits, hn::Set(du, 0x400000u));
  const auto is_nan = hn::RebindMask(du, hn::IsNaN(hn::BitCast(d, bits)));
  return hn::And(hn::IfThenElse(is_nan, nan, rounded), hn::Set(du, 0xffff0000u));
}
HWY_INLINE Bits RoundToBf16(hn::Vec<FloatTag> x) {
  return RoundToBf16(FloatTag(), x);
}

// Two rounded values in a lane, the first one low, as dot products take them.
template <class V>
HWY_INLINE V PairOf(V first, V second) {
  return hn::Or(hn::ShiftRight<16>(first), second);
}

// Rounded values, as floats or as bf16; count is a multiple of kLanes or the tail is padded by
// zeros.
HWY_INLINE void Store(Bits bits, float* out) {
  hn::StoreU(hn::BitCast(FloatTag(), bits), FloatTag(), out);
}
HWY_INLINE void Store(Bits bits, uint16_t* out) {
  const hn::Rebind<uint16_t, BitsTag> half;
  hn::StoreU(
      hn::DemoteTo(half, hn::BitCast(hn::RebindToSigned<BitsTag>(), hn::ShiftRight<16>(bits))),
      half, out);
}
template <class T>
void RoundRow(const float* row, int64_t count, T* out) {
  const FloatTag d;
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes) Store(RoundToBf16(hn::LoadU(d, row + k)), out + k);
  if (k == count) return;
  HWY_ALIGN float tail[kLanes] = {};
  std::copy(row + k, row + count, tail);
  Store(RoundToBf16(hn::Load(d, tail)), out + k);
}

// The bits of bf16 values, in the upper halves.
HWY_INLINE Bits LoadBits(const uint16_t* from) {
  const hn::Rebind<uint16_t, BitsTag> half;
  return hn::ShiftLeft<16>(hn::PromoteTo(BitsTag(), hn::LoadU(half, from)));
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target guard
