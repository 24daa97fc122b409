#include "nn/separable_attention.h"

#include "ops/activation.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/softmax_cross_entropy.h"
#include "ops/tokens.h"

namespace vitrail {

SeparableAttention::SeparableAttention(const Scope& scope, const SeparableAttentionConfig& config)
    : config_(config),
      path_(scope.path()),
      qkv_(scope.child("qkv_proj"), config.embed_dim, 1 + 2 * config.embed_dim,
           {.pointwise = true}),
      out_(scope.child("out_proj"), config.embed_dim, config.embed_dim, {.pointwise = true}) {}

Variable SeparableAttention::forward(const Context& context, const Variable& x,
                                     const LinearEpilogue& epilogue) const {
  const int64_t dim = config_.embed_dim;
  const Variable qkv = qkv_->forward(context, x);  // a score, a key, a value
  const Variable scores = dropout(context, softmax(context, slice(context, qkv, 3, 0, 1), 2),
                                  config_.dropout, path_ + ".dropout");  // [B, P, N, 1]
  const Variable summary =                                               // [B, P, 1, D]
      matmul(context, scores, slice(context, qkv, 3, 1, 1 + dim), {.transpose_a = true});
  const Variable values =
      activation(context, slice(context, qkv, 3, 1 + dim, 1 + 2 * dim), kernels::Activation::relu);
  return out_->forward(context, multiply(context, values, summary), epilogue);
}

LayerCost SeparableAttention::cost(int64_t tokens) const {
  const int64_t dim = config_.embed_dim;
  return {.path = path_,
          .output = {tokens, dim},
          .multiply_adds = tokens * (dim * (1 + 2 * dim) + 2 * dim + dim * dim),
          .values = tokens * (1 + 7 * dim)};
}

}  // namespace vitrail
