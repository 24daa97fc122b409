// The last step of exact rows of attention, whatever multiplied q and k.
//
// Per-target code: included once for each instruction set.
#include "hwy/highway.h"

#if defined(VITRAIL_ATTENTION_EXACT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_ATTENTION_EXACT_INL_H_
#undef VITRAIL_ATTENTION_EXACT_INL_H_
#else
#define VITRAIL_ATTENTION_EXACT_INL_H_
#endif

#include "kernels/cpu/attention_scores-inl.h"
#include "kernels/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// row[0, keys) holds q k^T of keys [key, key + keys): it becomes exp(scale * q k^T + bias - lse).
// `bias` is the query's lane of the block's bias (attention_bias-inl.h); null: none.
inline void FinishExactRow(const AttentionArgs& args, const AttentionRows& rows, int64_t b,
                           int64_t h, int64_t query, int64_t key, int64_t keys, const float* bias,
                           float* row) {
  const FloatTag d;
  const AttentionShape& shape = args.shape;
  const float lse = rows.lse[(b * shape.heads + h) * shape.queries + query];
  const bool seen = lse != -std::numeric_limits<float>::infinity();
  const int64_t visible =
      seen ? std::clamp<int64_t>(VisibleKeys(args, b, query) - key, 0, keys) : 0;
  if (bias != nullptr)
    for (int64_t j = 0; j < visible; ++j) row[j] = row[j] * args.scale + bias[j * kQueryPanel];
  const auto scale = hn::Set(d, bias == nullptr ? args.scale : 1.0f);
  const auto shift = hn::Set(d, lse);
  for (int64_t j = 0; j < visible; j += kLanes) {
    HWY_ALIGN float part[kLanes];
    hn::Store(Exp(d, hn::MulSub(LoadPart(row + j, visible - j), scale, shift)), d, part);
    std::copy_n(part, std::min<int64_t>(kLanes, visible - j), row + j);
  }
  std::fill(row + visible, row + keys, 0.0f);
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
