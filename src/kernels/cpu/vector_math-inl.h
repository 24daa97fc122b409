// Vector functions shared by the kernels, compiled once per target. D is a float tag, V its vector.
//
// The coefficients are our own minimax fits, in double and then rounded to float:
// tools/fit_vector_math.py prints them.
#if defined(VITRAIL_KERNELS_CPU_VECTOR_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_KERNELS_CPU_VECTOR_MATH_INL_H_
#undef VITRAIL_KERNELS_CPU_VECTOR_MATH_INL_H_
#else
#define VITRAIL_KERNELS_CPU_VECTOR_MATH_INL_H_
#endif

#include <type_traits>

#include "hwy/highway.h"
#include "kernels/activation.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The larger and the smaller of a limit and x, and NaN where x is one: Highway leaves to the
// processor what Max makes of a NaN. x86 gives the second operand, Arm the one that is a number.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V AtLeast([[maybe_unused]] D d, V limit, V x) {
#if HWY_ARCH_X86
  return hn::Max(limit, x);
#else
  return hn::IfThenElse(hn::Gt(limit, x), limit, x);
#endif
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V AtMost([[maybe_unused]] D d, V limit, V x) {
#if HWY_ARCH_X86
  return hn::Min(limit, x);
#else
  return hn::IfThenElse(hn::Lt(limit, x), limit, x);
#endif
}

// exp(x) to 2 ulp. Zero where the result would be subnormal (x < -87.336) and for -inf; saturates
// at the largest float above 88.72, so that later arithmetic makes no NaN of inf - inf. NaN stays.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Exp(D d, V x) {
  const hn::RebindToSigned<D> di;
  const V lowest = hn::Set(d, -87.3365402f);
  const auto flushed = hn::Lt(x, lowest);
  x = AtMost(d, hn::Set(d, 88.7228317f), x);
  // x = n log(2) + r. Adding 1.5 * 2^23 rounds to the nearest integer and leaves n in the low bits.
  const V magic = hn::Set(d, 12582912.0f);
  const V shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), magic);
  const V n = hn::Sub(shifted, magic);
  // log(2) in two parts; the first has 9 trailing zero bits, so that n times it is exact.
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693145752f), x);
  r = hn::NegMulAdd(n, hn::Set(d, 1.42860677e-6f), r);
  // exp(r) = 1 + r + r^2 q(r) on |r| <= log(2) / 2, relative error 3e-9.
  V q = hn::MulAdd(r, hn::Set(d, 1.38145406e-3f), hn::Set(d, 8.36874545e-3f));
  q = hn::MulAdd(q, r, hn::Set(d, 4.1668389e-2f));
  q = hn::MulAdd(q, r, hn::Set(d, 0.166665211f));
  q = hn::MulAdd(q, r, hn::Set(d, 0.49999994f));
  const V p = hn::Add(hn::MulAdd(hn::Mul(r, r), q, r), hn::Set(d, 1.0f));
  // Multiply by 2^n in the exponent field; p < 1 where n = 128, so it cannot overflow.
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  return hn::IfThenZeroElse(flushed, hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent)));
}

// log(x) to 2 ulp. -inf at zero, NaN below; inf and NaN stay.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log(D d, V x) {
  const hn::RebindToSigned<D> di;
  const V zero = hn::Zero(d), one = hn::Set(d, 1.0f), infinity = hn::Inf(d);
  // Subnormal numbers have no exponent to read: they are taken 2^23 times as large.
  const auto subnormal = hn::Lt(x, hn::Set(d, 1.17549435e-38f));
  const auto bits =
      hn::BitCast(di, hn::IfThenElse(subnormal, hn::Mul(x, hn::Set(d, 8388608.0f)), x));
  // x = 2^n m with m in [sqrt(1/2), sqrt(2)): 0x3F3504F3 is sqrt(1/2).
  const auto exponent = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(di, 0x3F3504F3)));
  const V m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(exponent)));
  const V n = hn::Sub(hn::ConvertTo(d, exponent), hn::IfThenElseZero(subnormal, hn::Set(d, 23.0f)));
  // log(m) = 2 s (1 + s^2 / 3 + s^4 / 5 + ...) with s = (m - 1) / (m + 1), |s| < 0.172: what is
  // left out is 2e-9 of the whole.
  const V s = hn::Div(hn::Sub(m, one), hn::Add(m, one));
  const V t = hn::Mul(s, s), twice = hn::Add(s, s);
  V p = hn::MulAdd(t, hn::Set(d, 1.0f / 9.0f), hn::Set(d, 1.0f / 7.0f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.0f / 5.0f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.0f / 3.0f));
  const V log_m = hn::MulAdd(hn::Mul(twice, t), p, twice);
  // n log(2) in the two parts of Exp.
  const V y =
      hn::MulAdd(n, hn::Set(d, 0.693145752f), hn::MulAdd(n, hn::Set(d, 1.42860677e-6f), log_m));
  const V beyond = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity),
                                  hn::IfThenElse(hn::Eq(x, infinity), infinity, hn::NaN(d)));
  return hn::IfThenElse(hn::And(hn::Gt(x, zero), hn::Lt(x, infinity)), y, beyond);
}

// 1 / (1 + exp(-x)).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Sigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, Exp(d, hn::Neg(x))));
}

// erf(x) to 2e-7: x P(x^2) / Q(x^2) of degrees 5 and 5 fitted on |x| <= 4 (relative error 6e-8 with
// float coefficients), exactly +-1 beyond, where float knows no difference.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Erf(D d, V x) {
  const V t = hn::Mul(x, x);
  V p = hn::MulAdd(t, hn::Set(d, 1.98678208e-6f), hn::Set(d, 2.84567039e-4f));
  V q = hn::MulAdd(t, hn::Set(d, 3.74202318e-5f), hn::Set(d, 1.18557969e-3f));
  p = hn::MulAdd(p, t, hn::Set(d, 3.88337602e-3f));
  q = hn::MulAdd(q, t, hn::Set(d, 1.52073139e-2f));
  p = hn::MulAdd(p, t, hn::Set(d, 5.31018451e-2f));
  q = hn::MulAdd(q, t, hn::Set(d, 0.115350291f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.193545759f));
  q = hn::MulAdd(q, t, hn::Set(d, 0.504858017f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.12837911f));
  q = hn::MulAdd(q, t, hn::Set(d, 1.0f));
  const V one = hn::Set(d, 1.0f);
  const V ratio = hn::Div(hn::Mul(x, p), q);
  return hn::IfThenElse(hn::Ge(t, hn::Set(d, 15.5f)), hn::CopySignToAbs(one, x), ratio);
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V Relu(D d, V x) {
  return AtLeast(d, hn::Zero(d), x);
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V ReluDerivative(D d, V x) {
  return hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), hn::Set(d, 1.0f));
}

// x (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel, 2016).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Gelu(D d, V x) {
  const V half = hn::Mul(x, hn::Set(d, 0.5f));
  return hn::MulAdd(half, Erf(d, hn::Mul(x, hn::Set(d, 0.707106781f))), half);
}

// Gelu to 1.7e-4, for results that are rounded to 8 bits of precision anyhow: no division, and half
// the work. x Phi(x) with Phi(x) = 1/2 + x P(x^2) of degree 7 fitted on |x| <= 4 (absolute error of
// the product 4e-5); beyond, Phi keeps its value at 4, and x below -4 counts as -4.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V GeluCoarse(D d, V x) {
  const V limited = AtLeast(d, hn::Set(d, -4.0f), x);
  const V c = AtMost(d, hn::Set(d, 4.0f), limited);
  const V t = hn::Mul(c, c);
  V p = hn::MulAdd(t, hn::Set(d, -1.30129618e-9f), hn::Set(d, 1.04196161e-7f));
  p = hn::MulAdd(p, t, hn::Set(d, -3.65713595e-6f));
  p = hn::MulAdd(p, t, hn::Set(d, 7.48550883e-5f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.00100649078f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.0095053995f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.0658878461f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.398673385f));
  return hn::Mul(limited, hn::MulAdd(p, c, hn::Set(d, 0.5f)));
}

// Phi(x) + x phi(x).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V GeluDerivative(D d, V x) {
  const V half = hn::Set(d, 0.5f);
  const V cumulative = hn::MulAdd(half, Erf(d, hn::Mul(x, hn::Set(d, 0.707106781f))), half);
  const V density = Exp(d, hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5f)));
  return hn::MulAdd(hn::Mul(x, hn::Set(d, 0.398942280f)), density, cumulative);
}

// The argument of the logistic in GeluTanh: 2 sqrt(2 / pi) (x + 0.044715 x^3).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V GeluTanhArgument(D d, V x) {
  const V cubic = hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.0713548163f), hn::Set(d, 1.59576912f));
  return hn::Mul(x, cubic);
}

// x (1 + tanh u) / 2 = x sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V GeluTanh(D d, V x) {
  return hn::Mul(x, Sigmoid(d, GeluTanhArgument(d, x)));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V GeluTanhDerivative(D d, V x) {
  const V s = Sigmoid(d, GeluTanhArgument(d, x));
  const V slope = hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.214064449f), hn::Set(d, 1.59576912f));
  return hn::MulAdd(hn::Mul(hn::Mul(x, slope), s), hn::Sub(hn::Set(d, 1.0f), s), s);
}

// x sigmoid(1.702 x).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V QuickGelu(D d, V x) {
  return hn::Mul(x, Sigmoid(d, hn::Mul(x, hn::Set(d, 1.702f))));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V QuickGeluDerivative(D d, V x) {
  const V scaled = hn::Mul(x, hn::Set(d, 1.702f));
  const V s = Sigmoid(d, scaled);
  return hn::MulAdd(hn::Mul(scaled, s), hn::Sub(hn::Set(d, 1.0f), s), s);
}

// x sigmoid(x).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Silu(D d, V x) {
  return hn::Mul(x, Sigmoid(d, x));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V SiluDerivative(D d, V x) {
  const V s = Sigmoid(d, x);
  return hn::MulAdd(hn::Mul(x, s), hn::Sub(hn::Set(d, 1.0f), s), s);
}

// 2 sigmoid(2x) - 1 loses what is small: below 1/8 its series to x^7, true to 1e-8 of the value.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Tanh(D d, V x) {
  const V square = hn::Mul(x, x);
  V series = hn::MulAdd(square, hn::Set(d, -17.0f / 315.0f), hn::Set(d, 2.0f / 15.0f));
  series = hn::MulAdd(square, series, hn::Set(d, -1.0f / 3.0f));
  series = hn::MulAdd(hn::Mul(square, series), x, x);
  const V two = hn::Set(d, 2.0f);
  const V whole = hn::MulAdd(two, Sigmoid(d, hn::Mul(two, x)), hn::Set(d, -1.0f));
  return hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, 0.125f)), series, whole);
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V TanhDerivative(D d, V x) {
  const V t = Tanh(d, x);
  return hn::NegMulAdd(t, t, hn::Set(d, 1.0f));
}

// Limits [0, 6]; as the second operand a NaN stays one on x86, too.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Relu6(D d, V x) {
  return AtMost(d, hn::Set(d, 6.0f), AtLeast(d, hn::Zero(d), x));
}

// 1 strictly inside, as torch has it.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Relu6Derivative(D d, V x) {
  const auto inside = hn::And(hn::Gt(x, hn::Zero(d)), hn::Lt(x, hn::Set(d, 6.0f)));
  return hn::IfThenElseZero(inside, hn::Set(d, 1.0f));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V SigmoidDerivative(D d, V x) {
  const V s = Sigmoid(d, x);
  return hn::Mul(s, hn::Sub(hn::Set(d, 1.0f), s));
}

// log(1 + exp(x)) = max(x, 0) + log(1 + u), u = exp(-|x|): nothing overflows or cancels.
// log(1 + u) = 2 s (1 + s^2 / 3 + ...) with s = u / (2 + u) <= 1/3; what is left out is 2e-9 of it.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Softplus(D d, V x) {
  const V u = Exp(d, hn::Neg(hn::Abs(x)));
  const V s = hn::Div(u, hn::Add(u, hn::Set(d, 2.0f)));
  const V t = hn::Mul(s, s), twice = hn::Add(s, s);
  V p = hn::MulAdd(t, hn::Set(d, 1.0f / 15.0f), hn::Set(d, 1.0f / 13.0f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.0f / 11.0f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.0f / 9.0f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.0f / 7.0f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.0f / 5.0f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.0f / 3.0f));
  return hn::Add(AtLeast(d, hn::Zero(d), x), hn::MulAdd(hn::Mul(twice, t), p, twice));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V HardSigmoid(D d, V x) {
  return hn::Mul(Relu6(d, hn::Add(x, hn::Set(d, 3.0f))), hn::Set(d, 1.0f / 6.0f));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V HardSigmoidDerivative(D d, V x) {
  return hn::IfThenElseZero(hn::Lt(hn::Abs(x), hn::Set(d, 3.0f)), hn::Set(d, 1.0f / 6.0f));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V HardSwish(D d, V x) {
  return hn::Mul(x, HardSigmoid(d, x));
}

// x / 3 + 1/2 within (-3, 3), 0 below and 1 above, as torch has it.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V HardSwishDerivative(D d, V x) {
  const V three = hn::Set(d, 3.0f);
  const V slope = hn::Add(hn::Div(x, three), hn::Set(d, 0.5f));
  const V above = hn::IfThenElse(hn::Ge(x, three), hn::Set(d, 1.0f), slope);
  return hn::IfThenZeroElse(hn::Le(x, hn::Neg(three)), above);
}

// The function and its derivative chosen at compile time: Activate<Activation::gelu>(d, x).
// kCoarse: for results that are rounded to 8 bits of precision.
template <Activation kActivation, bool kCoarse = false, class D, class V = hn::Vec<D>>
HWY_INLINE V Activate(D d, V x) {
  if constexpr (kActivation == Activation::gelu && kCoarse) return GeluCoarse(d, x);
  if constexpr (kActivation == Activation::gelu) return Gelu(d, x);
  if constexpr (kActivation == Activation::gelu_tanh) return GeluTanh(d, x);
  if constexpr (kActivation == Activation::quick_gelu) return QuickGelu(d, x);
  if constexpr (kActivation == Activation::relu) return Relu(d, x);
  if constexpr (kActivation == Activation::silu) return Silu(d, x);
  if constexpr (kActivation == Activation::tanh) return Tanh(d, x);
  if constexpr (kActivation == Activation::relu6) return Relu6(d, x);
  if constexpr (kActivation == Activation::sigmoid) return Sigmoid(d, x);
  if constexpr (kActivation == Activation::softplus) return Softplus(d, x);
  if constexpr (kActivation == Activation::hard_sigmoid) return HardSigmoid(d, x);
  if constexpr (kActivation == Activation::hard_swish) return HardSwish(d, x);
  if constexpr (kActivation == Activation::none) return x;
}

template <Activation kActivation, class D, class V = hn::Vec<D>>
HWY_INLINE V ActivateDerivative(D d, V x) {
  if constexpr (kActivation == Activation::gelu) return GeluDerivative(d, x);
  if constexpr (kActivation == Activation::gelu_tanh) return GeluTanhDerivative(d, x);
  if constexpr (kActivation == Activation::quick_gelu) return QuickGeluDerivative(d, x);
  if constexpr (kActivation == Activation::relu) return ReluDerivative(d, x);
  if constexpr (kActivation == Activation::silu) return SiluDerivative(d, x);
  if constexpr (kActivation == Activation::tanh) return TanhDerivative(d, x);
  if constexpr (kActivation == Activation::relu6) return Relu6Derivative(d, x);
  if constexpr (kActivation == Activation::sigmoid) return SigmoidDerivative(d, x);
  if constexpr (kActivation == Activation::softplus) return Sigmoid(d, x);
  if constexpr (kActivation == Activation::hard_sigmoid) return HardSigmoidDerivative(d, x);
  if constexpr (kActivation == Activation::hard_swish) return HardSwishDerivative(d, x);
  if constexpr (kActivation == Activation::none) return hn::Set(d, 1.0f);
}

// Calls body(std::integral_constant<Activation, kind>): one branch outside the loop.
template <class Body>
HWY_INLINE void WithActivation(Activation activation, Body&& body) {
  switch (activation) {
    case Activation::none:
      return body(std::integral_constant<Activation, Activation::none>{});
    case Activation::gelu:
      return body(std::integral_constant<Activation, Activation::gelu>{});
    case Activation::gelu_tanh:
      return body(std::integral_constant<Activation, Activation::gelu_tanh>{});
    case Activation::quick_gelu:
      return body(std::integral_constant<Activation, Activation::quick_gelu>{});
    case Activation::relu:
      return body(std::integral_constant<Activation, Activation::relu>{});
    case Activation::silu:
      return body(std::integral_constant<Activation, Activation::silu>{});
    case Activation::tanh:
      return body(std::integral_constant<Activation, Activation::tanh>{});
    case Activation::relu6:
      return body(std::integral_constant<Activation, Activation::relu6>{});
    case Activation::sigmoid:
      return body(std::integral_constant<Activation, Activation::sigmoid>{});
    case Activation::softplus:
      return body(std::integral_constant<Activation, Activation::softplus>{});
    case Activation::hard_sigmoid:
      return body(std::integral_constant<Activation, Activation::hard_sigmoid>{});
    case Activation::hard_swish:
      return body(std::integral_constant<Activation, Activation::hard_swish>{});
  }
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target guard
