#include "models/vit.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace vitrail {
namespace {

VisionTransformerConfig validated(VisionTransformerConfig config) {
  config.validate();
  return config;
}

ClassifierConfig head_config(const VisionTransformerConfig& c) {
  return {
      .embed_dim = c.embed_dim,
      .pooling = c.pooling,
      .map = {.embed_dim = c.embed_dim,
              .num_heads = c.pool_heads > 0 ? c.pool_heads : c.num_heads,
              .mlp_hidden_dim = c.pool_mlp_hidden_dim > 0 ? c.pool_mlp_hidden_dim : c.mlp_hidden(),
              .activation = c.activation,
              .epsilon = c.layer_norm_epsilon},
      .norm = c.fc_norm,
      .epsilon = c.layer_norm_epsilon,
      .pre_logits_dim = c.pre_logits_dim,
      .answer = c.class_answer(),
      .bias = c.head_bias};
}

}  // namespace

VisionTransformer::VisionTransformer(VisionTransformerConfig config)
    : config_(validated(std::move(config))), backbone_(Scope(parameters()), config_) {
  make_head(head_config(config_));
}

PictureInput VisionTransformer::pictures() const {
  return {.channels = config_.in_channels,
          .height = config_.image_height,
          .width = config_.image_width};
}

nlohmann::json VisionTransformer::config_json() const {
  return to_json(config_);
}

}  // namespace vitrail
