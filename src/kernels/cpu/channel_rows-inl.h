// What normalisations over pixels share: rows of channels, a vector of channels at a time; compiled
// once per target.
#if defined(VITRAIL_KERNELS_CPU_CHANNEL_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_KERNELS_CPU_CHANNEL_ROWS_INL_H_
#undef VITRAIL_KERNELS_CPU_CHANNEL_ROWS_INL_H_
#else
#define VITRAIL_KERNELS_CPU_CHANNEL_ROWS_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"
#include "kernels/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

using ChannelTag = hn::ScalableTag<float>;

// The sum over rows of value(offset of the row): four sums, joined in a fixed order.
template <class Value>
HWY_INLINE hn::Vec<ChannelTag> SumRows(int64_t rows, int64_t stride, Value&& value) {
  const ChannelTag d;
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d), sum3 = hn::Zero(d);
  int64_t p = 0;
  for (; p + 4 <= rows; p += 4) {
    sum0 = hn::Add(sum0, value(p * stride));
    sum1 = hn::Add(sum1, value((p + 1) * stride));
    sum2 = hn::Add(sum2, value((p + 2) * stride));
    sum3 = hn::Add(sum3, value((p + 3) * stride));
  }
  for (; p < rows; ++p) sum0 = hn::Add(sum0, value(p * stride));
  return hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
}

// The gradient that comes through ReLU, whose output was y.
template <bool kRelu>
HWY_INLINE hn::Vec<ChannelTag> Passed(hn::Vec<ChannelTag> dy, hn::Vec<ChannelTag> y) {
  if constexpr (!kRelu) return dy;
  return hn::IfThenElseZero(hn::Gt(y, hn::Zero(ChannelTag())), dy);
}

// Rows of channels and what is done to them.
struct NormalisedRows {
  int64_t rows = 0, channels = 0;
  const float* x = nullptr;         // [rows, channels]
  const float* residual = nullptr;  // as x, where there is one
  float* y = nullptr;
  const float* mean = nullptr;   // [channels]
  const float* scale = nullptr;  // [channels]
  const float* shift = nullptr;  // [channels]
};

// y = relu((x - mean) scale + shift + residual) for channels [begin, end).
template <bool kRelu, bool kResidual>
void WriteNormalised(const NormalisedRows& r, int64_t begin, int64_t end) {
  ForEachRegister(begin, end, [&](int64_t c, auto load, auto store) HWY_ATTR {
    const auto mean = load(r.mean + c), factor = load(r.scale + c), shift = load(r.shift + c);
    for (int64_t p = 0, at = c; p < r.rows; ++p, at += r.channels) {
      auto value = hn::MulAdd(hn::Sub(load(r.x + at), mean), factor, shift);
      if constexpr (kResidual) value = hn::Add(value, load(r.residual + at));
      if constexpr (kRelu) value = Relu(ChannelTag(), value);
      store(value, r.y + at);
    }
  });
}

inline void WriteNormalised(const NormalisedRows& r, bool relu, int64_t begin, int64_t end) {
  const auto write =
      relu ? r.residual == nullptr ? WriteNormalised<true, false> : WriteNormalised<true, true>
      : r.residual == nullptr ? WriteNormalised<false, false>
                              : WriteNormalised<false, true>;
  write(r, begin, end);
}

// The gradient of rows: dx = d rate - even - (x - mean) tilt, with d = dy where y > 0 for ReLU.
struct NormalisedGradient {
  int64_t rows = 0, channels = 0;
  const float* x = nullptr;   // [rows, channels]
  const float* y = nullptr;   // as x; read where there was ReLU
  const float* dy = nullptr;  // as x
  float* dx = nullptr;        // null: not wanted
  float* dresidual = nullptr;
  const float* mean = nullptr;  // [channels], as those below
  const float* rate = nullptr;
  const float* even = nullptr;
  const float* tilt = nullptr;
};

// For channels [begin, end).
template <bool kRelu>
void WriteGradient(const NormalisedGradient& g, int64_t begin, int64_t end) {
  const float* y = kRelu ? g.y : g.dy;
  ForEachRegister(begin, end, [&](int64_t c, auto load, auto store) HWY_ATTR {
    const auto mean = load(g.mean + c), rate = load(g.rate + c);
    const auto even = load(g.even + c), tilt = load(g.tilt + c);
    for (int64_t p = 0, at = c; p < g.rows; ++p, at += g.channels) {
      const auto gradient = Passed<kRelu>(load(g.dy + at), load(y + at));
      if (g.dx != nullptr) {
        const auto centered = hn::Sub(load(g.x + at), mean);
        store(hn::NegMulAdd(centered, tilt, hn::MulSub(gradient, rate, even)), g.dx + at);
      }
      if (g.dresidual != nullptr) store(gradient, g.dresidual + at);
    }
  });
}

// Sums over rows of d, and of d (x - mean), for channels [begin, end).
template <bool kRelu>
void SumGradient(const NormalisedGradient& g, int64_t begin, int64_t end, float* sums_d,
                 float* sums_dx) {
  const float* y = kRelu ? g.y : g.dy;
  ForEachRegister(begin, end, [&](int64_t c, auto load, auto store) HWY_ATTR {
    const auto mean = load(g.mean + c);
    const auto gradient = [&](int64_t at) HWY_ATTR {
      return Passed<kRelu>(load(g.dy + c + at), load(y + c + at));
    };
    store(SumRows(g.rows, g.channels, gradient), sums_d + c);
    store(SumRows(g.rows, g.channels,
                  [&](int64_t at) HWY_ATTR {
                    return hn::Mul(gradient(at), hn::Sub(load(g.x + c + at), mean));
                  }),
          sums_dx + c);
  });
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target guard
