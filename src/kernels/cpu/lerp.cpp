#include "kernels/lerp.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/lerp.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

void LerpRange(const LerpArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const auto scale = hn::Set(d, args.y_scale);
  const bool near = args.weight < 0.5;
  const auto weight = hn::Set(d, static_cast<float>(near ? args.weight : 1 - args.weight));
  Transform(
      d, (args.out != nullptr ? args.out : args.x) + begin, end - begin,
      [&](auto from, auto to) {
        const auto y = hn::Mul(to, scale);
        const auto way = hn::Sub(y, from);
        return near ? hn::MulAdd(weight, way, from) : hn::NegMulAdd(weight, way, y);
      },
      args.x + begin, args.y + begin);
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/parallel_chunks.h"

namespace vitrail::kernels {

HWY_EXPORT(LerpRange);

void lerp(Queue& queue, std::span<const LerpArgs> arrays) {
  parallel_chunks(
      queue, arrays.size(), kElementsPerChunk, [&](size_t i) { return arrays[i].count; },
      [&](size_t i, int64_t, int64_t begin, int64_t end) {
        VITRAIL_DISPATCH(LerpRange)(arrays[i], begin, end);
      });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
