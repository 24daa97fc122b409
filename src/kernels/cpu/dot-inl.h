// The dot-product instructions that Highway 1.0.3 lacks, on its vectors.
//
// Per-target code: included once for each instruction set. They are written as assembly, which
// needs no compiler flag: whoever calls them has asked dispatch.h's dot_products() whether the
// processor has them. VITRAIL_HAS_INT8_DOT and VITRAIL_HAS_BF16_DOT say what a target may have.
#include "hwy/highway.h"

#if defined(VITRAIL_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_DOT_INL_H_
#undef VITRAIL_DOT_INL_H_
#else
#define VITRAIL_DOT_INL_H_
#endif

#undef VITRAIL_HAS_INT8_DOT
#undef VITRAIL_HAS_BF16_DOT
#if HWY_TARGET == HWY_AVX3
#define VITRAIL_HAS_INT8_DOT 1
#define VITRAIL_HAS_BF16_DOT 1
#elif HWY_TARGET == HWY_AVX2
#define VITRAIL_HAS_INT8_DOT 1
#define VITRAIL_HAS_BF16_DOT 0
#else
#define VITRAIL_HAS_INT8_DOT 0
#define VITRAIL_HAS_BF16_DOT 0
#endif

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

#if VITRAIL_HAS_INT8_DOT
// sum + the dot product of four u8 (left) with four s8 (right) in each 32-bit lane, exact in 32
// bits (VPDPBUSD, which does not saturate).
template <class V>
HWY_INLINE V DotU8S8(V sum, V left, V right) {
#if HWY_TARGET == HWY_AVX3
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(left.raw), "v"(right.raw));
#else
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum.raw) : "x"(left.raw), "x"(right.raw));
#endif
  return sum;
}
#endif

#if VITRAIL_HAS_BF16_DOT
// sum + the dot product of two bf16 with two bf16 in each 32-bit lane (VDPBF16PS).
template <class V, class Pairs>
HWY_INLINE V DotBf16(V sum, Pairs left, Pairs right) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(left.raw), "v"(right.raw));
  return sum;
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target guard
