// What the forward and backward attention kernels share: block sizes, packing of heads, and the
// softmax of one block of scores.
#include <algorithm>
#include <limits>

#include "hwy/highway.h"

#if defined(VITRAIL_ATTENTION_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_ATTENTION_BLOCK_INL_H_
#undef VITRAIL_ATTENTION_BLOCK_INL_H_
#else
#define VITRAIL_ATTENTION_BLOCK_INL_H_
#endif

#include "core/rng.h"
#include "kernels/attention.h"
#include "kernels/cpu/gemm_micro-inl.h"
#include "kernels/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// Scores of a block (48 x 192 floats, 37 KB on AVX2) stay in L2 between the two products; 192 is a
// multiple of every panel width.
inline constexpr int64_t kQueryBlock = 48;
inline constexpr int64_t kKeyBlock = 192;
static_assert(kKeyBlock % kPanelWidth == 0 && kQueryBlock % kTileRows == 0);

inline int64_t RoundUp(int64_t value, int64_t step) {
  return (value + step - 1) / step * step;
}

inline float* Head(const HeadView& view, int64_t b, int64_t h) {
  return view.data + b * view.stride[0] + h * view.stride[1];
}

inline float Dot(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t count) {
  const FloatTag d;
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    sum0 = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum0);
    sum1 = hn::MulAdd(hn::LoadU(d, a + i + kLanes), hn::LoadU(d, b + i + kLanes), sum1);
  }
  float tail = 0;
  for (; i < count; ++i) tail += a[i] * b[i];
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1))) + tail;
}

// Panels of B = X^T for X [tokens, d]: columns are tokens, k runs over d.
inline void PackTransposed(const float* x, int64_t tokens, int64_t dim, int64_t stride,
                           float* panels) {
  for (int64_t t = 0; t < tokens; t += kPanelWidth)
    PackPanel(x + t * stride, dim, std::min<int64_t>(kPanelWidth, tokens - t), 1, stride,
              panels + t * dim);
}

// Panels of B = X for X [tokens, d]: columns are features, k runs over tokens.
inline void PackStraight(const float* x, int64_t tokens, int64_t dim, int64_t stride,
                         float* panels) {
  for (int64_t c = 0; c < dim; c += kPanelWidth)
    PackPanel(x + c, tokens, std::min<int64_t>(kPanelWidth, dim - c), stride, 1,
              panels + c * tokens);
}

// out[rows, columns] (+)= a[rows, k] * panels, where panel p starts at panels + p * panel_step.
struct BlockProduct {
  const float* a;
  int64_t a_stride;
  int64_t rows, k_size;
  const float* panels;
  int64_t panel_step;
  int64_t columns;  // computed up to a whole vector
  float* out;
  int64_t out_stride;
  bool accumulate;
};
inline void Multiply(const BlockProduct& p) {
  // A panel of so many k, 18 KB with AVX-512, stays in L1 while the rows pass.
  constexpr int64_t kDepth = kKeyBlock / 2;
  for (int64_t column = 0; column < p.columns; column += kPanelWidth) {
    const int vectors = VectorsFor(p.columns - column);
    for (int64_t k = 0; k < p.k_size || k == 0; k += kDepth) {
      const float* panel = p.panels + column / kPanelWidth * p.panel_step + k * kPanelWidth;
      for (int64_t row = 0; row < p.rows; row += kTileRows) {
        const int64_t rows = std::min<int64_t>(kTileRows, p.rows - row);
        kMicroTiles[vectors - 1][rows - 1](
            std::min(kDepth, p.k_size - k), p.a + row * p.a_stride + k, p.a_stride, panel,
            p.out + row * p.out_stride + column, p.out_stride, p.accumulate || k > 0,
            reinterpret_cast<const char*>(panel));
      }
    }
  }
}

inline bool IsPlain(const AttentionBias& bias) {
  return bias.dense == nullptr && bias.key_lengths == nullptr && !bias.causal;
}

// Keys that a query of this sample can see: [0, end).
inline int64_t VisibleKeys(const AttentionArgs& args, int64_t b, int64_t query) {
  int64_t end = args.shape.keys;
  if (args.bias.key_lengths != nullptr) end = std::min(end, args.bias.key_lengths[b]);
  if (args.bias.causal) end = std::min(end, query + args.shape.keys - args.shape.queries + 1);
  return std::max<int64_t>(end, 0);
}

// scores[0, padded) = scale * scores + bias for keys [key, key + padded); -inf where invisible.
// `padded` is a multiple of the vector length.
inline void FinishScores(const AttentionArgs& args, int64_t b, int64_t h, int64_t query,
                         int64_t key, int64_t padded, float* HWY_RESTRICT scores) {
  const FloatTag d;
  const auto scale = hn::Set(d, args.scale);
  for (int64_t j = 0; j < padded; j += kLanes)
    hn::StoreU(hn::Mul(hn::LoadU(d, scores + j), scale), d, scores + j);
  const int64_t visible = std::clamp<int64_t>(VisibleKeys(args, b, query) - key, 0, padded);
  if (args.bias.dense != nullptr) {
    const auto& s = args.bias.stride;
    const float* bias = args.bias.dense + b * s[0] + h * s[1] + query * s[2] + key * s[3];
    for (int64_t j = 0; j < visible; ++j) scores[j] += bias[j * s[3]];
  }
  for (int64_t j = visible; j < padded; ++j) scores[j] = -std::numeric_limits<float>::infinity();
}

// The factor (0 or 1 / (1 - p)) that dropout gives to keys [key, key + count) of one query. `key`
// is a multiple of four: a Philox counter serves four keys.
inline void DropoutFactors(const AttentionArgs& args, int64_t b, int64_t h, int64_t query,
                           int64_t key, int64_t count, float* factors) {
  const AttentionShape& shape = args.shape;
  const float keep = 1.0f / (1.0f - args.dropout.probability);
  const auto threshold = static_cast<uint64_t>(args.dropout.probability * 0x1p32);
  const auto row = static_cast<uint64_t>((b * shape.heads + h) * shape.queries + query);
  const auto groups = static_cast<uint64_t>((shape.keys + 3) / 4);
  for (int64_t j = 0; j < count; j += 4) {
    const auto words = philox(args.dropout.seed, row * groups + static_cast<uint64_t>(key + j) / 4,
                              args.dropout.stream);
    for (int64_t lane = 0; lane < 4 && j + lane < count; ++lane)
      factors[j + lane] = words[lane] < threshold ? 0.0f : keep;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
