#include "ops/attention_mixing.h"

#include <array>

#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/softmax_cross_entropy.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr std::array kSwapTokensAndHeads{0, 2, 1, 3};

// The heads of an operand [B, N, D]: [B, H, N, d].
Variable by_head(const Context& context, const Variable& x, int64_t heads, int64_t dim,
                 const HeadPlace& place) {
  const int64_t batch = x.size(0), tokens = x.size(1), first = place.first;
  Variable own;
  if (place.step == dim) {
    const int64_t width = heads * dim;
    own = reshape(context, x.size(2) == width ? x : slice(context, x, 2, first, first + width),
                  {batch, tokens, heads, dim});
  } else {
    own = slice(context, reshape(context, x, {batch, tokens, heads, place.step}), 3, first,
                first + dim);
  }
  return permute(context, own, kSwapTokensAndHeads);
}

// matrix [H, H] times x [B, H, Nq, Nk] over the heads, plus bias [H].
Variable mix(const Context& context, const Variable& matrix, const Variable& bias,
             const Variable& x) {
  if (!matrix.defined()) return x;
  const Shape shape = x.shape();
  const Variable flat = reshape(context, x, {shape[0], shape[1], shape[2] * shape[3]});
  Variable y = matmul(context, matrix, flat);
  if (bias.defined()) y = add(context, y, reshape(context, bias, {shape[1], 1}));
  return reshape(context, y, shape);
}

}  // namespace

Variable chained_mixed_attention(const Context& context, const AttentionOperands& in,
                                 const AttentionOptions& options, float factor) {
  const HeadMixingWeights& mixing = options.mixing;
  const int64_t heads = options.heads;
  const Variable q = by_head(context, in.q, heads, in.head_dim, in.q_place);
  const Variable k = by_head(context, in.k, heads, in.head_dim, in.k_place);
  const Variable v = by_head(context, in.v, heads, in.value_dim, in.v_place);
  const auto drop = [&](const Variable& x, bool here) {
    return here ? dropout(context, x, options.dropout, options.path + ".mixed") : x;
  };
  const Variable scores = scale(context, matmul(context, q, k, {.transpose_b = true}), factor);
  Variable weights = softmax(context, mix(context, mixing.before, mixing.before_bias, scores));
  weights = drop(weights, mixing.drops_before);
  weights = mix(context, mixing.after, mixing.after_bias, weights);
  if (mixing.norm != nullptr) weights = layer_norm_2d(context, weights, *mixing.norm);
  weights = drop(weights, !mixing.drops_before);
  const Variable o = permute(context, matmul(context, weights, v), kSwapTokensAndHeads);
  return reshape(context, o, {in.q.size(0), in.q.size(1), heads * in.value_dim});
}

}  // namespace vitrail
