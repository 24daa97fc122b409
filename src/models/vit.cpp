#include "models/vit.h"

#include <memory>

namespace vitrail {
namespace {

ClassifierConfig head_config(const VisionTransformerConfig& c) {
  return {
      .embed_dim = c.embed_dim,
      .pooling = c.pooling,
      .map = {.embed_dim = c.embed_dim,
              .num_heads = c.pool_heads > 0 ? c.pool_heads : c.num_heads,
              .mlp_hidden_dim = c.pool_mlp_hidden_dim > 0 ? c.pool_mlp_hidden_dim : c.mlp_hidden(),
              .activation = c.activation,
              .epsilon = c.layer_norm_epsilon,
              .norm = c.norm},
      .norm = c.fc_norm,
      .epsilon = c.layer_norm_epsilon,
      .norm_kind = c.norm,
      .pre_logits_dim = c.pre_logits_dim,
      .answer = c.class_answer(),
      .bias = c.head_bias};
}

}  // namespace

VisionTransformer::VisionTransformer(const VisionTransformerConfig& config)
    : Classifier(config), backbone_(Scope(parameters()), config) {
  make_head(head_config(config));
}

std::shared_ptr<Network> make_network(const VisionTransformerConfig& config) {
  return std::make_shared<VisionTransformer>(config);
}

}  // namespace vitrail
