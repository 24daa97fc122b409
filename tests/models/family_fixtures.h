// Tiny models of every family, made of Vitrail's own random weights.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
#include "core/queue.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "formats/tensor_source.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/families/convert.h"
#include "models/families/registry.h"
#include "models/vit.h"
#include "support/errors.h"

namespace vitrail::testing {

inline VitConfig tiny_config() {
  VitConfig config;
  config.image_height = config.image_width = 16;
  config.patches.patch_height = config.patches.patch_width = 4;
  config.embed_dim = 24;
  config.depth = 2;
  config.block.attention.num_heads = 2;
  config.block.mlp.hidden = 48;
  config.num_classes = 5;
  return config;
}

// Random values everywhere, so that no token, bias or norm is at its neutral start.
inline NamedTensors random_weights(const VitConfig& config, uint64_t seed = 1) {
  const VisionTransformer model(config);
  NamedTensors tensors;
  for (const auto& parameter : model.parameters().all()) {
    Rng rng(seed, hash_path(parameter->path()));
    Tensor tensor = Tensor::empty(parameter->shape());
    for (float& value : tensor.values()) value = static_cast<float>(0.3 * rng.normal());
    tensors.emplace_back(parameter->path(), tensor);
  }
  return tensors;
}

// As a checkpoint of our own family.
inline Checkpoint own_checkpoint(const VitConfig& config, const NamedTensors& tensors) {
  return read_checkpoint(std::make_shared<MemoryTensors>(tensors),
                         {.config = {{"model_type", "vitrail"}, {"model", to_json(config)}},
                          .preprocessor = nullptr,
                          .labels_file = {}},
                         {.settings = {}, .require_preprocess = false});
}

inline CheckpointOptions without_preprocess(Settings settings = {}) {
  return {.settings = std::move(settings), .require_preprocess = false};
}

// The answer to one fixed random picture: logits, or the pooled vector of a model without a head.
inline Tensor answer_of(const Checkpoint& checkpoint) {
  const std::shared_ptr<Network> model = checkpoint.info.config.make();
  load_weights(*model, *checkpoint.tensors);
  const PictureInput pictures = model->pictures();
  Tensor images = Tensor::empty({1, pictures.channels, pictures.height, pictures.width});
  Rng rng(7, 7);
  for (float& value : images.values()) value = static_cast<float>(rng.normal());
  Queue queue(1);
  const Context context(queue);
  const NetworkOutput output = model->forward(context, images);
  return (output.logits.defined() ? output.logits : output.pooled).value().clone();
}

// max |a - b| / max |b|; infinite when the sizes differ or a value is not finite.
inline double answer_error(const Tensor& a, const Tensor& b) {
  if (a.numel() != b.numel()) return INFINITY;
  double difference = 0, largest = 1e-30;
  for (int64_t i = 0; i < a.numel(); ++i) {
    if (!std::isfinite(a.f32()[i])) return INFINITY;
    difference = std::max(difference, std::abs(static_cast<double>(a.f32()[i]) - b.f32()[i]));
    largest = std::max(largest, std::abs(static_cast<double>(b.f32()[i])));
  }
  return difference / largest;
}

// A folder of timm's with the tiny model.
inline Json timm_json(const std::string& architecture = "vit_base_patch16_224") {
  return {{"architecture", architecture},
          {"global_pool", "token"},
          {"model_args",
           {{"img_size", 16},
            {"patch_size", 4},
            {"embed_dim", 24},
            {"depth", 2},
            {"num_heads", 2},
            {"mlp_ratio", 2.0}}},
          {"pretrained_cfg",
           {{"input_size", {3, 16, 16}}, {"mean", {0.5, 0.5, 0.5}}, {"std", {0.5, 0.5, 0.5}}}}};
}

// As a user opens it, preprocessing included.
inline Checkpoint read(const NamedTensors& tensors, const Json& config,
                       const Settings& settings = {}, const Json& preprocessor = nullptr) {
  return read_checkpoint(std::make_shared<MemoryTensors>(tensors),
                         {.config = config, .preprocessor = preprocessor, .labels_file = {}},
                         {.settings = settings, .require_preprocess = true});
}

// The tiny model under another family's names.
inline NamedTensors renamed(const VitConfig& config, const Spelling& spelling) {
  NamedTensors tensors;
  for (const auto& [name, tensor] : random_weights(config))
    for (auto& part : split_parts({name, names_in(spelling, name)}, tensor))
      tensors.push_back(std::move(part));
  return tensors;
}

}  // namespace vitrail::testing
