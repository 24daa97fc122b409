// The scores of one block of attention: exponential, scale, bias, visibility and dropout.
#include <algorithm>
#include <limits>

#include "hwy/highway.h"

#if defined(VITRAIL_ATTENTION_SCORES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_ATTENTION_SCORES_INL_H_
#undef VITRAIL_ATTENTION_SCORES_INL_H_
#else
#define VITRAIL_ATTENTION_SCORES_INL_H_
#endif

#include "core/rng.h"
#include "kernels/cpu/attention_bias-inl.h"
#include "kernels/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// 2^x for x <= 0 and what rounding adds, to 1 ulp; below -126.5 it is 0. NaN stays.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Exp2(D d, V x) {
  x = AtLeast(d, hn::Set(d, -127.0f), x);
  // x = n + r. Adding 1.5 * 2^23 + 127 rounds to the nearest integer and leaves n + 127, the
  // exponent of 2^n, in the low bits.
  const V magic = hn::Set(d, 12583039.0f);
  const V shifted = hn::Add(x, magic);
  const V r = hn::Sub(x, hn::Sub(shifted, magic));
  // 2^r = 1 + r q(r) on |r| <= 1/2, relative error 9e-8 (tools/fit_vector_math.py).
  V q = hn::MulAdd(r, hn::Set(d, 1.32646586e-3f), hn::Set(d, 9.67156608e-3f));
  q = hn::MulAdd(q, r, hn::Set(d, 5.55073433e-2f));
  q = hn::MulAdd(q, r, hn::Set(d, 0.240222409f));
  q = hn::MulAdd(q, r, hn::Set(d, 0.693147004f));
  q = hn::MulAdd(q, r, hn::Set(d, 1.0f));
  const hn::RebindToSigned<D> di;
  return hn::Mul(q, hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(di, shifted))));
}
inline constexpr float kLog2E = 1.44269504f;
inline constexpr float kLog2 = 0.693147181f;

// Where every key is seen and nothing is added, the scale goes into the exponential.
inline bool ScalesLate(const AttentionArgs& args) {
  return !args.bias.present() && args.scale > 0;
}
// What brings the scores to powers of two.
inline float ExponentFactor(const AttentionArgs& args) {
  return ScalesLate(args) ? args.scale * kLog2E : kLog2E;
}

// Keys that a query of this sample can see: [0, end).
inline int64_t VisibleKeys(const AttentionArgs& args, int64_t b, int64_t query) {
  int64_t end = args.shape.keys;
  if (args.bias.key_lengths != nullptr) end = std::min(end, args.bias.key_lengths[b]);
  if (args.bias.causal) end = std::min(end, query + args.shape.keys - args.shape.queries + 1);
  return std::max<int64_t>(end, 0);
}

// scores[keys, kQueryPanel] = scale * scores + bias, -inf where a query does not see the key; the
// largest by query goes into `maximum` unless null. `bias` lies as the scores do; null: none.
inline void FinishScores(const AttentionArgs& args, const Block& block, const float* bias,
                         float* HWY_RESTRICT scores, float* maximum) {
  float visible[kQueryPanel];  // keys of this block, by query
  for (int64_t c = 0; c < kQueryPanel; ++c)
    visible[c] = static_cast<float>(
        c < block.queries
            ? std::clamp<int64_t>(VisibleKeys(args, block.b, block.query + c) - block.key, 0,
                                  block.keys)
            : block.keys);
  ForEachVector(block.queries, [&](auto d, int64_t column) HWY_ATTR {
    const auto scale = hn::Set(d, args.scale);
    const auto hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
    const auto end = hn::LoadU(d, visible + column);
    auto highest = maximum == nullptr ? hidden : hn::LoadU(d, maximum + column);
    for (int64_t j = 0; j < block.keys; ++j) {
      float* at = scores + j * kQueryPanel + column;
      const auto sum = hn::Mul(hn::LoadU(d, at), scale);
      const auto biased =
          bias == nullptr ? sum : hn::Add(sum, hn::LoadU(d, bias + j * kQueryPanel + column));
      const auto seen = hn::Lt(hn::Set(d, static_cast<float>(j)), end);
      const auto score = hn::IfThenElse(seen, biased, hidden);
      highest = hn::Max(score, highest);
      hn::StoreU(score, d, at);
    }
    if (maximum != nullptr) hn::StoreU(highest, d, maximum + column);
  });
}

// The factor (0 or 1 / (1 - p)) that dropout gives to each element of a block, [keys, kQueryPanel].
// block.key is a multiple of four: a Philox counter serves four keys.
inline void DropoutFactors(const AttentionArgs& args, const Block& block, float* factors) {
  const AttentionShape& shape = args.shape;
  const float keep = 1.0f / (1.0f - args.dropout.probability);
  const auto threshold = static_cast<uint64_t>(args.dropout.probability * 0x1p32);
  const auto groups = static_cast<uint64_t>((shape.keys + 3) / 4);
  std::fill_n(factors, block.keys * kQueryPanel, 0.0f);
  for (int64_t c = 0; c < block.queries; ++c) {
    const auto row =
        static_cast<uint64_t>((block.b * shape.heads + block.h) * shape.queries + block.query + c);
    for (int64_t j = 0; j < block.keys; j += 4) {
      const auto words =
          philox(args.dropout.seed, row * groups + static_cast<uint64_t>(block.key + j) / 4,
                 args.dropout.stream);
      for (int64_t lane = 0; lane < 4 && j + lane < block.keys; ++lane)
        factors[(j + lane) * kQueryPanel + c] = words[lane] < threshold ? 0.0f : keep;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
