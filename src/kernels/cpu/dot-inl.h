// The dot products of every target: instructions that Highway 1.0.3 lacks, on its vectors, and what
// stands in for them.
//
// Per-target code: included once for each instruction set. The instructions are written as
// assembly, which needs no compiler flag: whoever uses them has asked dispatch.h's dot_products()
// whether the processor has them. VITRAIL_HAS_INT8_DOT, VITRAIL_HAS_SIGNED_DOT and
// VITRAIL_HAS_BF16_DOT say what a target may have.
//
// A dot product of bytes is a class whose Add(sum, left, right) adds four u8 (left) times four s8
// (right) to each 32-bit lane of sum, exactly:
//   MixedDot    one instruction (VPDPBUSD, which does not saturate; Arm's USDOT)
//   SignedDot   two, where the instruction takes signed bytes alone (Arm's SDOT)
//   WidenedDot  pairs of 16 bits: any processor
#include "hwy/highway.h"

#if defined(VITRAIL_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_DOT_INL_H_
#undef VITRAIL_DOT_INL_H_
#else
#define VITRAIL_DOT_INL_H_
#endif

#undef VITRAIL_HAS_INT8_DOT
#undef VITRAIL_HAS_SIGNED_DOT
#undef VITRAIL_HAS_BF16_DOT
#define VITRAIL_HAS_INT8_DOT \
  (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_NEON)
#define VITRAIL_HAS_SIGNED_DOT (HWY_TARGET == HWY_NEON)
#define VITRAIL_HAS_BF16_DOT (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON)

#if HWY_ARCH_ARM
#ifndef VITRAIL_ARM_DOTS  // what the assembler must know
#define VITRAIL_ARM_DOTS ".arch armv8.2-a+crypto+dotprod+i8mm+bf16\n\t"
#endif
#endif

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if VITRAIL_HAS_INT8_DOT
struct MixedDot {
  template <class V>
  static HWY_INLINE V Add(V sum, V left, V right) {
#if HWY_TARGET == HWY_AVX3
    asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(left.raw), "v"(right.raw));
#elif HWY_TARGET == HWY_AVX2
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum.raw) : "x"(left.raw), "x"(right.raw));
#else
    asm(VITRAIL_ARM_DOTS "usdot %0.4s, %1.16b, %2.16b"
        : "+w"(sum.raw)
        : "w"(left.raw), "w"(right.raw));
#endif
    return sum;
  }
};
#endif

#if VITRAIL_HAS_SIGNED_DOT
// 128 taken from each byte on the left, and 128 times the right ones added again. The compiler
// finds that what depends on one side alone is the same for a whole row or column of a tile.
struct SignedDot {
  template <class V>
  static HWY_INLINE V Add(V sum, V left, V right) {
    const hn::DFromV<V> d;
    const V offset = hn::Set(d, static_cast<int32_t>(0x80808080u));  // four times -128
    sum = Signed(sum, hn::Xor(left, offset), right);
    return hn::Sub(sum, Signed(hn::Zero(d), offset, right));
  }

 private:
  template <class V>
  static HWY_INLINE V Signed(V sum, V left, V right) {
    asm(VITRAIL_ARM_DOTS "sdot %0.4s, %1.16b, %2.16b"
        : "+w"(sum.raw)
        : "w"(left.raw), "w"(right.raw));
    return sum;
  }
};
#endif

struct WidenedDot {
  template <class V>
  static HWY_INLINE V Add(V sum, V left, V right) {
    const hn::DFromV<V> d;
    const hn::RepartitionToNarrow<decltype(d)> ds;
    const hn::RebindToUnsigned<decltype(ds)> du;
    const auto l = hn::BitCast(du, left);
    const auto r = hn::BitCast(ds, right);
    const auto pairs = [&](auto a, auto b) HWY_ATTR {
      auto other = hn::Zero(d);
      const auto even = hn::ReorderWidenMulAccumulate(d, hn::BitCast(ds, a), b, hn::Zero(d), other);
#if HWY_ARCH_X86  // has added the pairs by itself
      return even;
#else
      return hn::RearrangeToOddPlusEven(even, other);
#endif
    };
    const auto low =
        pairs(hn::And(l, hn::Set(du, uint16_t{0xff})), hn::ShiftRight<8>(hn::ShiftLeft<8>(r)));
    return hn::Add(sum, hn::Add(low, pairs(hn::ShiftRight<8>(l), hn::ShiftRight<8>(r))));
  }
};

#if VITRAIL_HAS_BF16_DOT
// sum + the dot product of two bf16 with two bf16 in each 32-bit lane (VDPBF16PS, Arm's BFDOT).
template <class V, class Pairs>
HWY_INLINE V DotBf16(V sum, Pairs left, Pairs right) {
#if HWY_TARGET == HWY_AVX3
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(left.raw), "v"(right.raw));
#else
  asm(VITRAIL_ARM_DOTS "bfdot %0.4s, %1.8h, %2.8h" : "+w"(sum.raw) : "w"(left.raw), "w"(right.raw));
#endif
  return sum;
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target guard
