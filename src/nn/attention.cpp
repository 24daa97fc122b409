#include "nn/attention.h"

#include <array>

#include "ops/attention.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

// LayerNorm of each head's d values: x [B, N, H*d].
Variable norm_heads(const Context& context, const LayerNorm& norm, const Variable& x, int64_t heads,
                    int64_t dim) {
  const Variable split = reshape(context, x, {x.size(0), x.size(1), heads, dim});
  return reshape(context, norm.forward(context, split), x.shape());
}

}  // namespace

Attention::Attention(const Scope& scope, const AttentionConfig& config)
    : config_(config), path_(scope.path()) {
  const int64_t width = config.num_heads * config.head_dim;
  qkv_ = LinearSlot(scope.child("qkv"), config.embed_dim, 3 * width, {.bias = config.qkv_bias});
  if (config.qk_norm) {
    q_norm_.emplace(scope.child("q_norm"), config.head_dim, config.epsilon);
    k_norm_.emplace(scope.child("k_norm"), config.head_dim, config.epsilon);
  }
  if (config.output_norm) norm_.emplace(scope.child("norm"), width, config.epsilon);
  if (config.projection)
    proj_ =
        LinearSlot(scope.child("proj"), width, config.embed_dim, {.bias = config.projection_bias});
}

Variable Attention::forward(const Context& context, const LinearInput& input,
                            const LinearEpilogue& epilogue) const {
  const int64_t heads = config_.num_heads, dim = config_.head_dim, width = heads * dim;
  const AttentionOptions options{.heads = heads, .dropout = config_.dropout, .path = path_};
  Variable qkv = qkv_->forward(context, input);
  Variable mixed;
  if (q_norm_) {
    const auto part = [&](int64_t index) {
      return slice(context, qkv, 2, index * width, (index + 1) * width);
    };
    mixed = attention(context, norm_heads(context, *q_norm_, part(0), heads, dim),
                      norm_heads(context, *k_norm_, part(1), heads, dim), part(2), options);
  } else {
    mixed = self_attention(context, qkv, options);
  }
  qkv = {};
  if (norm_) mixed = norm_->forward(context, mixed);
  if (proj_.present()) return proj_->forward(context, mixed, epilogue);
  // Without a projection (one head as wide as the model) its epilogue is applied by itself.
  return apply_epilogue(context, mixed, epilogue);
}

LayerCost Attention::cost(int64_t tokens) const {
  const int64_t dim = config_.embed_dim, inner = config_.num_heads * config_.head_dim;
  // q, k and v; q k^T and P v; the projection.
  return {.path = path_,
          .output = {tokens, dim},
          .multiply_adds = tokens * dim * 3 * inner + 2 * tokens * tokens * inner +
                           (config_.projection ? tokens * inner * dim : 0),
          // The input, its norm and the sum; q, k, v and their mix.
          .values = tokens * (3 * dim + 4 * inner),
          .scores = static_cast<double>(tokens) * static_cast<double>(tokens) *
                    static_cast<double>(config_.num_heads),
          .qkv_values = tokens * 3 * inner};
}

}  // namespace vitrail
