#include "models/vit.h"

#include <memory>

namespace vitrail {
namespace {

ClassifierConfig head_config(const VitConfig& c) {
  ClassifierConfig head = c.head;
  head.embed_dim = head.map.embed_dim = c.embed_dim;
  if (head.map.num_heads == 0) head.map.num_heads = c.block.attention.num_heads;
  if (head.map.mlp_hidden_dim == 0) head.map.mlp_hidden_dim = c.mlp_hidden();
  head.map.activation = c.block.mlp.activation;
  head.norm_kind = head.map.norm = c.norm;
  head.epsilon = head.map.epsilon = c.layer_norm_epsilon;
  head.answer = c.class_answer();
  return head;
}

}  // namespace

VisionTransformer::VisionTransformer(const VitConfig& config)
    : Classifier(config), backbone_(Scope(parameters()), config) {
  make_head(head_config(config));
}

std::shared_ptr<Network> make_network(const VitConfig& config) {
  return std::make_shared<VisionTransformer>(config);
}

}  // namespace vitrail
