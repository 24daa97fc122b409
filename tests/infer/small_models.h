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
inline std::shared_ptr<Model> model_of(const VisionTransformerConfig& config, uint64_t seed = 1) {
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

inline VisionTransformerConfig small_config() {
  VisionTransformerConfig config;
  config.image_height = config.image_width = 32;
  config.patch_height = config.patch_width = 8;
  config.embed_dim = 24;
  config.depth = 2;
  config.num_heads = 3;
  config.num_classes = 7;
  return config;
}

// Configurations that take different ways through the network.
inline std::vector<VisionTransformerConfig> varied_configs() {
  VisionTransformerConfig plain = small_config();
  VisionTransformerConfig dino = small_config();
  dino.register_tokens = 3;
  dino.layer_scale = true;
  dino.mlp = MlpKind::gated_packed;
  dino.activation = Activation::silu;
  dino.qk_norm = true;
  dino.pooling = Pooling::class_and_mean;
  VisionTransformerConfig deit = small_config();
  deit.distillation_token = true;
  deit.position_prefix = 2;
  deit.pooling = Pooling::distilled;
  VisionTransformerConfig compact = small_config();
  compact.patch_embedding = PatchEmbedding::tokenizer;
  compact.tokenizer.layers = 2;
  compact.tokenizer.hidden_channels = 10;
  compact.class_token = false;
  compact.position_prefix = 0;
  compact.norm_placement = NormPlacement::cct;
  compact.qkv_bias = false;
  compact.pooling = Pooling::sequence;
  VisionTransformerConfig mapped = small_config();
  mapped.image_width = 48;
  mapped.class_token = false;
  mapped.position_prefix = 0;
  mapped.pooling = Pooling::map;
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
