#include "nn/channel_attention.h"

#include "ops/channel_attention.h"
#include "ops/tokens.h"

namespace vitrail {

ChannelAttention::ChannelAttention(const Scope& scope, const ChannelAttentionConfig& config)
    : config_(config),
      path_(scope.path()),
      temperature_(scope.parameter("temperature", {config.num_heads, 1, 1},
                                   Initializer::constant(1), ParameterRole::Kind::scale)),
      qkv_(scope.child("qkv"), config.embed_dim, 3 * config.embed_dim, {.bias = config.qkv_bias}),
      proj_(scope.child("proj"), config.embed_dim, config.embed_dim) {}

Variable ChannelAttention::forward(const Context& context, const LinearInput& input,
                                   const LinearEpilogue& epilogue) const {
  const Variable temperature = reshape(context, temperature_.variable(), {config_.num_heads});
  const Variable mixed =
      channel_attention(context, qkv_->forward(context, input), temperature,
                        {.heads = config_.num_heads, .dropout = config_.dropout, .path = path_});
  return proj_->forward(context, mixed, epilogue);
}

LayerCost ChannelAttention::cost(int64_t tokens) const {
  const int64_t dim = config_.embed_dim, head_dim = dim / config_.num_heads;
  // q, k and v; the products of channels and what they mix; the projection.
  return {.path = path_,
          .output = {tokens, dim},
          .multiply_adds = tokens * dim * (4 * dim + 2 * head_dim),
          .values = 7 * tokens * dim + 2 * dim * head_dim};
}

}  // namespace vitrail
