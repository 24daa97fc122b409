#include "models/families/writing/model_edit.h"

#include <array>
#include <cmath>
#include <cstring>

#include "core/error.h"

namespace vitrail {
namespace {

void add_row(Tensor& token, int64_t row, const Tensor& addend) {
  const DType kept = token.dtype();
  Tensor sum = token.to(DType::f32).clone();
  const Tensor values = addend.to(DType::f32);
  float* to = sum.f32() + row * values.numel();
  for (int64_t i = 0; i < values.numel(); ++i) to[i] += values.f32()[i];
  token = sum.to(kept);
}

}  // namespace

ModelEdit::ModelEdit(const VitConfig& model_config, const TensorSource& canonical,
                     const char* target)
    : config(model_config), target_(target) {
  for (const std::string& name : canonical.names()) tensors[name] = canonical.tensor(name);
}

void ModelEdit::require(bool possible, const std::string& what) const {
  if (!possible) fail("convert", "{} models cannot express {}", target_, what);
}

Tensor& ModelEdit::at(const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) fail("convert", "the model has no {}", name);
  return found->second;
}

void ModelEdit::rename(const std::string& from, const std::string& to) {
  auto node = tensors.extract(from);
  node.key() = to;
  tensors.insert(std::move(node));
}

Tensor ModelEdit::scaled(const Tensor& tensor, double factor) const {
  Tensor result = tensor.to(DType::f32).clone();
  for (float& value : result.values()) value = static_cast<float>(value * factor);
  result = result.to(tensor.dtype());
  if (tensor.dtype() == DType::f16) {
    const Tensor rounded = result.to(DType::f32);
    for (const float value : rounded.values())
      require(std::isfinite(value), "its LayerNorm epsilon with f16 weights of this size");
  }
  return result;
}

void join_biases(ModelEdit& model, const std::string& attention) {
  const Tensor q = model.at(attention + "q_bias"), v = model.at(attention + "v_bias");
  Tensor all = Tensor::zeros({3 * q.numel()}, q.dtype());
  auto* to = static_cast<std::byte*>(all.raw());
  std::memcpy(to, q.raw(), q.bytes());
  const Tensor values = v.to(q.dtype());
  std::memcpy(to + 2 * q.bytes(), values.raw(), values.bytes());
  model.tensors.erase(attention + "q_bias");
  model.tensors.erase(attention + "v_bias");
  model.tensors[attention + "qkv.bias"] = all;
}

void split_biases(ModelEdit& model, const std::string& attention) {
  const Tensor all = model.at(attention + "qkv.bias");
  const int64_t width = all.numel() / 3;
  model.tensors.erase(attention + "qkv.bias");
  model.tensors[attention + "q_bias"] = all.rows(0, width);
  model.tensors[attention + "v_bias"] = all.rows(2 * width, 3 * width);
}

void split_gate(ModelEdit& model, const std::string& mlp) {
  for (const char* part : {".weight", ".bias"}) {
    const auto found = model.tensors.find(mlp + "fc1" + part);
    if (found == model.tensors.end()) continue;
    const Tensor both = found->second;
    const int64_t half = both.size(0) / 2;
    model.tensors.erase(found);
    model.tensors[mlp + "fc1_g" + part] = both.rows(0, half);
    model.tensors[mlp + "fc1_x" + part] = both.rows(half, 2 * half);
  }
}

void turn_patch_embedding(ModelEdit& model, bool linear) {
  VitConfig& c = model.config;
  Tensor& weight = model.at("patch_embed.proj.weight");
  const int64_t channels = c.in_channels, pixels = c.patches.patch_height * c.patches.patch_width;
  const Tensor source = weight;
  Tensor target =
      linear ? Tensor::empty({c.embed_dim, pixels * channels}, source.dtype())
             : Tensor::empty({c.embed_dim, channels, c.patches.patch_height, c.patches.patch_width},
                             source.dtype());
  const size_t size = size_of(source.dtype());
  const auto* from = static_cast<const std::byte*>(source.raw());
  auto* to = static_cast<std::byte*>(target.raw());
  for (int64_t row = 0; row < c.embed_dim; ++row)
    for (int64_t channel = 0; channel < channels; ++channel)
      for (int64_t pixel = 0; pixel < pixels; ++pixel) {
        const int64_t by_channel = (row * channels + channel) * pixels + pixel;
        const int64_t by_pixel = (row * pixels + pixel) * channels + channel;
        std::memcpy(to + (linear ? by_pixel : by_channel) * size,
                    from + (linear ? by_channel : by_pixel) * size, size);
      }
  weight = target;
  c.patch_embedding = linear ? PatchEmbedding::linear : PatchEmbedding::convolution;
}

void fold_positions(ModelEdit& model, int64_t kept_prefix) {
  VitConfig& c = model.config;
  const Tensor positions = model.at("pos_embed").reshape({-1, c.embed_dim});
  const std::array<std::pair<const char*, int64_t>, 3> tokens = {
      {{"cls_token", c.tokens.class_token ? 1 : 0},
       {"dist_token", c.tokens.distillation_token ? 1 : 0},
       {"reg_token", c.tokens.register_tokens}}};
  int64_t row = 0;
  for (const auto& [name, count] : tokens)
    for (int64_t i = 0; i < count; ++i, ++row)
      if (row >= kept_prefix && row < c.position.prefix)
        add_row(model.at(name), i, positions.rows(row, row + 1));
  const int64_t rows = positions.size(0);
  Tensor rest =
      Tensor::empty({1, rows - (c.position.prefix - kept_prefix), c.embed_dim}, positions.dtype());
  auto* to = static_cast<std::byte*>(rest.raw());
  const Tensor kept = positions.rows(0, kept_prefix);
  const Tensor patches = positions.rows(c.position.prefix, rows);
  std::memcpy(to, kept.raw(), kept.bytes());
  std::memcpy(to + kept.bytes(), patches.raw(), patches.bytes());
  model.at("pos_embed") = rest;
  c.position.prefix = kept_prefix;
  model.fold("the positions of prefix tokens are added to the tokens");
}

void add_positions(ModelEdit& model, int64_t wanted) {
  VitConfig& c = model.config;
  const Tensor positions = model.at("pos_embed").reshape({-1, c.embed_dim});
  const int64_t had = c.position.prefix;
  Tensor all = Tensor::zeros({1, positions.size(0) + wanted - had, c.embed_dim}, positions.dtype());
  auto* to = static_cast<std::byte*>(all.raw());
  const Tensor kept = positions.rows(0, had);
  const Tensor patches = positions.rows(had, positions.size(0));
  std::memcpy(to, kept.raw(), kept.bytes());
  std::memcpy(to + all.bytes() - patches.bytes(), patches.raw(), patches.bytes());
  model.at("pos_embed") = all;
  c.position.prefix = wanted;
  model.fold("prefix tokens without a position get one of zeros");
}

}  // namespace vitrail
