// The dot-product instructions' rates: one section an instruction set.
#include "kernels/cpu/peak_spin.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "hwy/base.h"

HWY_PUSH_ATTRIBUTES("avx512f,avx512bf16")
namespace vitrail::kernels {
namespace avx512_bf16 {
namespace {

struct Ops {
  using Sum = __m512;
  static __m512i left() { return _mm512_set1_epi32(0x3f003f00); }   // pairs of 0.5
  static __m512i right() { return _mm512_set1_epi32(0x3f803f80); }  // pairs of 1
  static Sum zero() { return _mm512_setzero_ps(); }
  static Sum add(Sum a, Sum b) { return _mm512_add_ps(a, b); }
  static void hide(__m512i& x) { asm volatile("" : "+v"(x)); }
  static void hide(Sum& x) { asm volatile("" : "+v"(x)); }
  static void store(Sum x, void* out) { _mm512_storeu_ps(out, x); }
  static Sum multiply_add(__m512i left, __m512i right, Sum sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(left),
                            reinterpret_cast<__m512bh>(right));
  }
};

#include "kernels/cpu/peak_loop-inl.h"

}  // namespace
}  // namespace avx512_bf16

PeakSpin peak_spin_avx512_bf16() {
  return {avx512_bf16::spin<avx512_bf16::Ops>, int64_t{kPeakSums} * 2 * 32};
}

}  // namespace vitrail::kernels
HWY_POP_ATTRIBUTES

HWY_PUSH_ATTRIBUTES("avx512f,avx512vnni")
namespace vitrail::kernels {
namespace avx512_vnni {
namespace {

struct Ops {
  using Sum = __m512i;
  static Sum left() { return _mm512_set1_epi8(3); }
  static Sum right() { return _mm512_set1_epi8(-5); }
  static Sum zero() { return _mm512_setzero_si512(); }
  static Sum add(Sum a, Sum b) { return _mm512_add_epi32(a, b); }
  static void hide(Sum& x) { asm volatile("" : "+v"(x)); }
  static void store(Sum x, void* out) { _mm512_storeu_si512(out, x); }
  static Sum multiply_add(Sum left, Sum right, Sum sum) {
    return _mm512_dpbusd_epi32(sum, left, right);
  }
};

#include "kernels/cpu/peak_loop-inl.h"

}  // namespace
}  // namespace avx512_vnni

PeakSpin peak_spin_avx512_vnni() {
  return {avx512_vnni::spin<avx512_vnni::Ops>, int64_t{kPeakSums} * 2 * 64};
}

}  // namespace vitrail::kernels
HWY_POP_ATTRIBUTES

HWY_PUSH_ATTRIBUTES("avx2,avxvnni")
namespace vitrail::kernels {
namespace avx2_vnni {
namespace {

struct Ops {
  using Sum = __m256i;
  static Sum left() { return _mm256_set1_epi8(3); }
  static Sum right() { return _mm256_set1_epi8(-5); }
  static Sum zero() { return _mm256_setzero_si256(); }
  static Sum add(Sum a, Sum b) { return _mm256_add_epi32(a, b); }
  static void hide(Sum& x) { asm volatile("" : "+x"(x)); }
  static void store(Sum x, void* out) { _mm256_storeu_si256(static_cast<Sum*>(out), x); }
  static Sum multiply_add(Sum left, Sum right, Sum sum) {
    return _mm256_dpbusd_avx_epi32(sum, left, right);
  }
};

#include "kernels/cpu/peak_loop-inl.h"

}  // namespace
}  // namespace avx2_vnni

PeakSpin peak_spin_avx2_vnni() {
  return {avx2_vnni::spin<avx2_vnni::Ops>, int64_t{kPeakSums} * 2 * 32};
}

}  // namespace vitrail::kernels
HWY_POP_ATTRIBUTES
#endif
