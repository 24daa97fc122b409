// Tiny models and pictures for the tests of sessions and tasks.
#pragma once

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/scenes.h"
#include "infer/model.h"
#include "models/vit.h"
#include "support/temporary_folder.h"

namespace vitrail::testing {

inline std::string golden_folder(const std::string& name) {
  return std::string(VITRAIL_SOURCE_DIR) + "/tests/golden/models/" + name;
}

// A random model of this configuration, whose preprocessing squashes to its size.
inline std::shared_ptr<Model> model_of(const VitConfig& config, uint64_t seed = 1) {
  auto model = std::make_shared<Model>();
  model->name = "random";
  model->info.config = config;
  model->network = std::make_shared<VisionTransformer>(config);
  model->network->parameters().initialise(seed);
  model->labels = unknown_labels(config.num_classes);
  model->preprocess.channels = static_cast<int>(config.in_channels);
  model->preprocess.resize_to = {static_cast<int>(config.image_height),
                                 static_cast<int>(config.image_width)};
  return model;
}

inline VitConfig small_config() {
  VitConfig config;
  config.image_height = config.image_width = 32;
  config.patches.patch_height = config.patches.patch_width = 8;
  config.embed_dim = 24;
  config.depth = 2;
  config.block.attention.num_heads = 3;
  config.num_classes = 7;
  return config;
}

// Configurations that take different ways through the network.
inline std::vector<VitConfig> varied_configs() {
  VitConfig plain = small_config();
  VitConfig dino = small_config();
  dino.tokens.register_tokens = 3;
  dino.block.layer_scale = true;
  dino.block.mlp.kind = MlpKind::gated_packed;
  dino.block.mlp.activation = Activation::silu;
  dino.block.attention.qk_norm = true;
  dino.head.pooling = Pooling::class_and_mean;
  VitConfig deit = small_config();
  deit.tokens.distillation_token = true;
  deit.position.prefix = 2;
  deit.head.pooling = Pooling::distilled;
  VitConfig compact = small_config();
  compact.patch_embedding = PatchEmbedding::tokenizer;
  compact.tokenizer.layers = 2;
  compact.tokenizer.hidden_channels = 10;
  compact.tokens.class_token = false;
  compact.position.prefix = 0;
  compact.block.norms = NormPlacement::cct;
  compact.block.attention.qkv_bias = false;
  compact.head.pooling = Pooling::sequence;
  VitConfig mapped = small_config();
  mapped.image_width = 48;
  mapped.tokens.class_token = false;
  mapped.position.prefix = 0;
  mapped.head.pooling = Pooling::map;
  return {plain, dino, deit, compact, mapped};
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

inline std::vector<Image> scenes(int count, int size = 40) {
  SceneOptions options;
  options.size = size;
  std::vector<Image> pictures;
  for (int i = 0; i < count; ++i) pictures.push_back(render_scene_image(options, i));
  return pictures;
}

}  // namespace vitrail::testing
