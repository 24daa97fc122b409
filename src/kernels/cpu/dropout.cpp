#include "kernels/dropout.h"

#include <algorithm>
#include <cassert>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dropout.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

#ifndef VITRAIL_KERNELS_CPU_DROPOUT_THRESHOLD_
#define VITRAIL_KERNELS_CPU_DROPOUT_THRESHOLD_
namespace vitrail::kernels {
// A 32-bit word below this drops its element.
inline uint32_t drop_threshold(float probability) {
  return static_cast<uint32_t>(static_cast<double>(probability) * 4294967296.0);
}
}  // namespace vitrail::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

// The 64-bit products a * b of 32-bit lanes, as their low and high halves.
template <class D, class V>
HWY_INLINE void MultiplyWide(D du, V a, V b, V& low, V& high) {
  const hn::Repartition<uint64_t, D> dw;
  const auto even = hn::MulEven(a, b);
  const auto odd = hn::MulEven(hn::BitCast(du, hn::ShiftRight<32>(hn::BitCast(dw, a))),
                               hn::BitCast(du, hn::ShiftRight<32>(hn::BitCast(dw, b))));
  const auto low_mask = hn::Set(dw, uint64_t{0xFFFFFFFFu});
  low = hn::BitCast(du, hn::Or(hn::And(even, low_mask), hn::ShiftLeft<32>(odd)));
  high = hn::BitCast(du, hn::Or(hn::ShiftRight<32>(even), hn::AndNot(low_mask, odd)));
}

// core/rng.h's philox for the counters first, first + 1, ...: one a lane, four words each, written
// in order to words[4 lanes].
template <class D>
HWY_INLINE void PhiloxWords(D du, const MaskKey& mask, uint64_t first, uint32_t* words) {
  using V = hn::Vec<D>;
  HWY_ALIGN uint32_t low_words[HWY_MAX_BYTES / 4], high_words[HWY_MAX_BYTES / 4];
  for (size_t lane = 0; lane < hn::Lanes(du); ++lane) {
    low_words[lane] = static_cast<uint32_t>(first + lane);
    high_words[lane] = static_cast<uint32_t>((first + lane) >> 32);
  }
  V x0 = hn::Load(du, low_words), x1 = hn::Load(du, high_words);
  V x2 = hn::Set(du, static_cast<uint32_t>(mask.stream));
  V x3 = hn::Set(du, static_cast<uint32_t>(mask.stream >> 32));
  uint32_t key0 = static_cast<uint32_t>(mask.key), key1 = static_cast<uint32_t>(mask.key >> 32);
  const V multiplier0 = hn::Set(du, 0xD2511F53u), multiplier1 = hn::Set(du, 0xCD9E8D57u);
  for (int round = 0; round < 10; ++round) {
    V low0, high0, low1, high1;
    MultiplyWide(du, x0, multiplier0, low0, high0);
    MultiplyWide(du, x2, multiplier1, low1, high1);
    x0 = hn::Xor(hn::Xor(high1, x1), hn::Set(du, key0));
    x1 = low1;
    x2 = hn::Xor(hn::Xor(high0, x3), hn::Set(du, key1));
    x3 = low0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  hn::StoreInterleaved4(x0, x1, x2, x3, du, words);
}

void DropoutRange(const DropoutArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const hn::ScalableTag<uint32_t> du;
  const hn::ScalableTag<int32_t> di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto factor = hn::Set(d, 1.0f / (1.0f - args.probability));
  // Unsigned comparison as a signed one, for targets that have only that.
  const auto sign = hn::Set(di, INT32_MIN);
  const auto limit =
      hn::Xor(hn::Set(di, static_cast<int32_t>(drop_threshold(args.probability))), sign);
  HWY_ALIGN uint32_t words[HWY_MAX_BYTES];
  for (int64_t i = begin; i < end; i += 4 * lanes) {
    PhiloxWords(du, args.mask, (args.first_index + static_cast<uint64_t>(i)) / 4, words);
    for (int64_t part = 0; part < 4 && i + part * lanes < end; ++part) {
      const int64_t at = i + part * lanes;
      const auto word = hn::BitCast(di, hn::Load(du, words + part * lanes));
      const auto dropped = hn::RebindMask(d, hn::Lt(hn::Xor(word, sign), limit));
      Transform(
          d, args.y + at, HWY_MIN(lanes, end - at),
          [&](auto v) { return hn::IfThenZeroElse(dropped, hn::Mul(v, factor)); }, args.x + at);
    }
  }
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/elementwise.h"

namespace vitrail::kernels {

HWY_EXPORT(DropoutRange);

MaskKey::MaskKey(RandomKey random, std::string_view path)
    : key(random.seed), stream(hash_path(path) ^ (random.step * 0x9E3779B97F4A7C15u)) {}

bool kept(const MaskKey& mask, float probability, uint64_t index) {
  return philox(mask.key, index / 4, mask.stream)[index % 4] >= drop_threshold(probability);
}

void dropout(Queue& queue, const DropoutArgs& args) {
  assert(args.probability >= 0 && args.probability < 1 && args.first_index % 4 == 0);
  queue.pool().parallel_ranges(args.count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(DropoutRange)(args, begin, end);
  });
}

void drop_path(Queue& queue, const DropPathArgs& args) {
  assert(args.probability >= 0 && args.probability < 1);
  const float factor = 1.0f / (1.0f - args.probability);
  for (int64_t sample = 0; sample < args.samples; ++sample) {
    const uint64_t index = args.first_sample + static_cast<uint64_t>(sample);
    const float* x = args.x + sample * args.elements;
    float* y = args.y + sample * args.elements;
    if (kept(args.mask, args.probability, index))
      scale(queue, args.elements, factor, x, y);
    else
      fill(queue, args.elements, 0, y);
  }
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
