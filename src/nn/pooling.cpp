#include "nn/pooling.h"

#include <cmath>
#include <vector>

#include "ops/attention.h"
#include "ops/softmax_cross_entropy.h"
#include "ops/tokens.h"

namespace vitrail {

Variable SequencePool::forward(const Context& context, const Variable& tokens) const {
  const Variable scores =
      reshape(context, attention_->forward(context, tokens), {tokens.size(0), tokens.size(1)});
  return weighted_sum(context, softmax(context, scores), tokens);
}

MapPool::MapPool(const Scope& scope, const MapPoolConfig& config)
    : config_(config),
      path_(scope.path()),
      latent_(scope.parameter(
          "latent", {1, 1, config.embed_dim},
          Initializer::truncated_normal(1.0 / std::sqrt(static_cast<double>(config.embed_dim))),
          ParameterRole::Kind::token)),
      q_(scope.child("q"), config.embed_dim, config.embed_dim),
      kv_(scope.child("kv"), config.embed_dim, 2 * config.embed_dim),
      proj_(scope.child("proj"), config.embed_dim, config.embed_dim),
      norm_(scope.child("norm"), config.embed_dim, config.epsilon, config.norm),
      mlp_(scope.child("mlp"), {.inputs = config.embed_dim,
                                .hidden = config.mlp_hidden_dim,
                                .activation = config.activation,
                                .epsilon = config.epsilon}) {}

Variable MapPool::forward(const Context& context, const Variable& tokens) const {
  const int64_t batch = tokens.size(0), dim = config_.embed_dim;
  // The query is the same for every sample; a sum of its copies is what the gradient needs.
  const std::vector<Variable> copies(static_cast<size_t>(batch),
                                     q_->forward(context, latent_.variable()));
  const Variable q = concatenate(context, copies, 0);
  const Variable kv = kv_->forward(context, tokens);
  const Variable mixed =
      cross_attention(context, q, kv, {.heads = config_.num_heads, .path = path_});
  const Variable x = proj_->forward(context, mixed);
  const Variable y = mlp_.forward(context, norm_.forward(context, x), {.residual = &x});
  return reshape(context, y, {batch, dim});
}

LayerCost MapPool::cost(int64_t tokens) const {
  const int64_t dim = config_.embed_dim, hidden = config_.mlp_hidden_dim;
  // q and the projection of the one query; k and v; its scores and mix; the MLP.
  return {.path = path_,
          .output = {dim},
          .multiply_adds =
              2 * dim * dim + tokens * dim * 2 * dim + 2 * tokens * dim + 2 * dim * hidden};
}

}  // namespace vitrail
