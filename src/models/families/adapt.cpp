// A model's configuration and weights bent to what a family can say, without changing an answer.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "models/families/convert.h"

namespace vitrail {
namespace {

constexpr const char* kOtherPictures =
    "positions are stretched to pictures of another size by the target's rule";

class Adapter {
 public:
  Adapter(const VisionTransformerConfig& config, const TensorSource& canonical, Family target)
      : target_(target) {
    out_.config = config;
    for (const std::string& name : canonical.names()) out_.tensors[name] = canonical.tensor(name);
  }

  Adapted run() {
    if (target_ != Family::vitrail) {
      refuse_unshared();
      set_patch_embedding();
      set_norms();
      set_tokens();
      set_positions();
      set_projections();
      set_biases();
      set_head();
      set_mlp();
      set_epsilon();
    }
    return std::move(out_);
  }

 private:
  VisionTransformerConfig& c() { return out_.config; }
  bool is_hf() const {
    return target_ == Family::hf_vit || target_ == Family::hf_deit || target_ == Family::hf_dinov2;
  }
  bool is_dinov2() const { return target_ == Family::dinov2 || target_ == Family::hf_dinov2; }

  // Unless `possible`, the target has no way to say it.
  void require(bool possible, const std::string& what) const {
    if (!possible) fail("convert", "{} models cannot express {}", name_of(target_), what);
  }
  void fold(const std::string& what) { out_.folds.push_back(what); }

  Tensor& at(const std::string& name) {
    const auto found = out_.tensors.find(name);
    if (found == out_.tensors.end()) fail("convert", "the model has no {}", name);
    return found->second;
  }
  void rename(const std::string& from, const std::string& to) {
    auto node = out_.tensors.extract(from);
    node.key() = to;
    out_.tensors.insert(std::move(node));
  }
  static std::string block(int64_t index, const char* name) {
    return "blocks." + std::to_string(index) + "." + name;
  }

  // What no other family has.
  void refuse_unshared() {
    require(c().patch_embedding != PatchEmbedding::tokenizer, "a convolutional tokenizer");
    require(c().patch_embedding != PatchEmbedding::resnet, "a residual network as patch embedding");
    require(c().position == Position::none || c().position == Position::learned,
            "positions that are computed, not learned");
    require(c().norm_placement == NormPlacement::pre, "any norm_placement but pre");
    require(c().pooling != Pooling::sequence, "sequence pooling");
    require(c().pre_logits_dim == 0, "a layer with tanh before the head");
    const bool timm = target_ == Family::timm;
    require(!c().qk_norm || timm, "qk_norm");
    require(!c().attention_norm || timm, "attention_norm");
    require(!c().mlp_norm || timm, "mlp_norm");
    require(!c().pre_norm || timm, "pre_norm");
    require(c().head_size() * c().num_heads == c().embed_dim || is_hf() ||
                target_ == Family::vit_pytorch,
            fmt::format("{} heads of {} in a width of {}", c().num_heads, c().head_size(),
                        c().embed_dim));
    require(timm || is_hf() || c().activation == Activation::gelu || c().mlp != MlpKind::plain ||
                target_ == Family::vit_pytorch,
            "another activation than GELU");
    require(is_hf() || target_ == Family::timm || c().patch_height == c().patch_width,
            "patches that are not square");
  }

  // Columns (ph, pw, C), channel fastest, and [C, ph, pw] hold the same weights.
  void set_patch_embedding() {
    const bool linear = target_ == Family::vit_pytorch;
    require(!c().patch_norm || linear, "norms around the patch embedding");
    if (linear == (c().patch_embedding == PatchEmbedding::linear)) return;
    Tensor& weight = at("patch_embed.proj.weight");
    const int64_t channels = c().in_channels, pixels = c().patch_height * c().patch_width;
    const Tensor source = weight;
    Tensor target =
        linear ? Tensor::empty({c().embed_dim, pixels * channels}, source.dtype())
               : Tensor::empty({c().embed_dim, channels, c().patch_height, c().patch_width},
                               source.dtype());
    const size_t size = size_of(source.dtype());
    const auto* from = static_cast<const std::byte*>(source.raw());
    auto* to = static_cast<std::byte*>(target.raw());
    for (int64_t row = 0; row < c().embed_dim; ++row)
      for (int64_t channel = 0; channel < channels; ++channel)
        for (int64_t pixel = 0; pixel < pixels; ++pixel) {
          const int64_t by_channel = (row * channels + channel) * pixels + pixel;
          const int64_t by_pixel = (row * pixels + pixel) * channels + channel;
          std::memcpy(to + (linear ? by_pixel : by_channel) * size,
                      from + (linear ? by_channel : by_pixel) * size, size);
        }
    weight = target;
    c().patch_embedding = linear ? PatchEmbedding::linear : PatchEmbedding::convolution;
  }

  void set_norms() {
    if (target_ == Family::vit_pytorch)
      require(c().final_norm != c().fc_norm, "any but one norm before the head");
    if (target_ == Family::timm) {
      require(!(c().final_norm && c().fc_norm), "both final_norm and fc_norm");
      return;
    }
    if (target_ == Family::vit_pytorch) return;
    // One token's norm is the same before it is picked and after.
    const bool one_token = c().pooling == Pooling::class_token || c().pooling == Pooling::distilled;
    if (c().fc_norm && !c().final_norm && one_token) {
      rename("fc_norm.weight", "norm.weight");
      rename("fc_norm.bias", "norm.bias");
      c().fc_norm = false;
      c().final_norm = true;
      fold("the norm after pooling stands before it");
    }
    require(c().final_norm && !c().fc_norm, "a model without the norm of all tokens");
  }

  void set_tokens() {
    const bool distilled = c().distillation_token;
    require(!distilled || target_ == Family::timm || target_ == Family::hf_deit,
            "a distillation token");
    require(distilled || target_ != Family::hf_deit, "a model without a distillation token");
    require(c().class_token || target_ == Family::timm || target_ == Family::vit_pytorch,
            "a model without a class token");
    require(c().register_tokens == 0 || target_ == Family::timm || is_dinov2(), "register tokens");
    require(!(distilled && c().register_tokens > 0), "distillation and register tokens together");
    if (c().layer_scale)
      require(target_ == Family::timm || is_dinov2(), "LayerScale");
    else if (is_dinov2())
      add_layer_scale();
    if (!is_dinov2()) {
      out_.tensors.erase("mask_token");
    } else if (out_.tensors.contains("mask_token")) {
      at("mask_token") = at("mask_token").reshape({1, c().embed_dim});
    } else {
      out_.tensors["mask_token"] = Tensor::zeros({1, c().embed_dim}).to(dtype());
      fold("a mask token of zeros is added");
    }
    if (target_ == Family::vit_pytorch && !c().class_token)
      out_.tensors["cls_token"] = Tensor::zeros({0, c().embed_dim}).to(dtype());
  }
  DType dtype() { return at("patch_embed.proj.weight").dtype(); }

  void add_layer_scale() {
    for (int64_t i = 0; i < c().depth; ++i)
      for (const char* name : {"ls1.gamma", "ls2.gamma"})
        out_.tensors[block(i, name)] = Tensor::full({c().embed_dim}, 1.0f).to(dtype());
    c().layer_scale = true;
    fold("LayerScale of ones is added");
  }

  // Prefix tokens that the target's table of positions covers.
  int64_t wanted_prefix() {
    if (target_ != Family::timm || c().distillation_token)
      return (c().class_token ? 1 : 0) + (c().distillation_token ? 1 : 0);
    // timm covers every prefix token or none.
    return c().position_prefix == c().prefix_tokens() ? c().position_prefix : 0;
  }

  // How the target's own code stretches positions to another picture's grid.
  void set_position_resize() {
    const bool antialias = target_ == Family::timm || c().register_tokens > 0;
    const PositionResize rule = target_ == Family::vit_pytorch ? c().position_resize
                                : antialias                    ? PositionResize::bicubic_antialias
                                : is_hf()                      ? PositionResize::bicubic
                                                               : PositionResize::bicubic_offset;
    if (rule == c().position_resize || c().position != Position::learned) return;
    c().position_resize = rule;
    fold(kOtherPictures);
  }

  void set_positions() {
    set_position_resize();
    if (c().position == Position::none) {
      if (target_ == Family::timm && !c().distillation_token) return;
      const int64_t grid = c().grid_height(c().image_height) * c().grid_width(c().image_width);
      c().position = Position::learned;
      c().position_prefix = wanted_prefix();
      out_.tensors["pos_embed"] =
          Tensor::zeros({1, grid + c().position_prefix, c().embed_dim}).to(dtype());
      fold("positions of zeros are added");
      return;
    }
    const int64_t wanted = wanted_prefix();
    if (c().position_prefix > wanted) fold_positions(wanted);
    if (c().position_prefix < wanted) add_positions(wanted);
    if (c().position_grid_height > 0) {
      c().image_height = c().position_grid_height * c().patch_height;
      c().image_width = c().position_grid_width * c().patch_width;
      c().position_grid_height = c().position_grid_width = 0;
      fold("image_size is that of the stored positions");
    }
    if (is_hf() || target_ == Family::vit_pytorch || target_ == Family::dinov2)
      require(c().image_height == c().image_width || is_hf(), "pictures that are not square");
  }

  // A prefix token's position is a part of the token.
  void fold_positions(int64_t wanted) {
    const Tensor positions = at("pos_embed").reshape({-1, c().embed_dim});
    const std::array<std::pair<const char*, int64_t>, 3> tokens = {
        {{"cls_token", c().class_token ? 1 : 0},
         {"dist_token", c().distillation_token ? 1 : 0},
         {"reg_token", c().register_tokens}}};
    int64_t row = 0;
    for (const auto& [name, count] : tokens)
      for (int64_t i = 0; i < count; ++i, ++row)
        if (row >= wanted && row < c().position_prefix)
          add_row(at(name), i, positions.rows(row, row + 1));
    const int64_t rows = positions.size(0);
    Tensor rest =
        Tensor::empty({1, rows - (c().position_prefix - wanted), c().embed_dim}, positions.dtype());
    auto* to = static_cast<std::byte*>(rest.raw());
    const Tensor kept = positions.rows(0, wanted);
    const Tensor patches = positions.rows(c().position_prefix, rows);
    std::memcpy(to, kept.raw(), kept.bytes());
    std::memcpy(to + kept.bytes(), patches.raw(), patches.bytes());
    at("pos_embed") = rest;
    c().position_prefix = wanted;
    fold("the positions of prefix tokens are added to the tokens");
  }

  void add_row(Tensor& token, int64_t row, const Tensor& addend) {
    const DType kept = token.dtype();
    Tensor sum = token.to(DType::f32).clone();
    const Tensor values = addend.to(DType::f32);
    float* to = sum.f32() + row * c().embed_dim;
    for (int64_t i = 0; i < c().embed_dim; ++i) to[i] += values.f32()[i];
    token = sum.to(kept);
  }

  // Tokens without a position get one of zeros.
  void add_positions(int64_t wanted) {
    const Tensor positions = at("pos_embed").reshape({-1, c().embed_dim});
    const int64_t had = c().position_prefix;
    Tensor all =
        Tensor::zeros({1, positions.size(0) + wanted - had, c().embed_dim}, positions.dtype());
    auto* to = static_cast<std::byte*>(all.raw());
    const Tensor kept = positions.rows(0, had);
    const Tensor patches = positions.rows(had, positions.size(0));
    std::memcpy(to, kept.raw(), kept.bytes());
    std::memcpy(to + all.bytes() - patches.bytes(), patches.raw(), patches.bytes());
    at("pos_embed") = all;
    c().position_prefix = wanted;
    fold("prefix tokens without a position get one of zeros");
  }

  void add_bias(const std::string& module) {
    const int64_t rows = at(module + ".weight").size(0);
    if (out_.tensors.emplace(module + ".bias", Tensor::zeros({rows}).to(dtype())).second)
      added_bias_ = true;
  }

  // One head of the whole width may go without a projection in vit-pytorch alone.
  void set_projections() {
    if (c().attention_projection || target_ == Family::vit_pytorch) return;
    for (int64_t i = 0; i < c().depth; ++i) {
      Tensor identity = Tensor::zeros({c().embed_dim, c().embed_dim});
      for (int64_t j = 0; j < c().embed_dim; ++j) identity.f32()[j * (c().embed_dim + 1)] = 1;
      out_.tensors[block(i, "attn.proj.weight")] = identity.to(dtype());
    }
    c().attention_projection = true;
    fold("identity projections are added");
  }

  void set_biases() {
    if (target_ == Family::timm) {
      require(!(c().pre_norm && c().patch_bias), "a patch bias before norm_pre");
      if (!c().patch_bias && !c().pre_norm) add_bias("patch_embed.proj");
      c().patch_bias = !c().pre_norm;
      // One switch for the projections of attention and MLP.
      if (c().projection_bias || c().mlp_bias) add_block_biases();
      if (c().num_classes > 0) add_bias("head");
      if (out_.tensors.contains("head_dist.weight")) add_bias("head_dist");
    } else {
      require(!c().qkv_bias || target_ != Family::vit_pytorch, "a bias of q, k and v");
      if (!c().qkv_bias && target_ == Family::dinov2) {
        for (int64_t i = 0; i < c().depth; ++i) add_bias(block(i, "attn.qkv"));
        c().qkv_bias = true;
      }
      add_bias("patch_embed.proj");
      add_block_biases();
      if (c().num_classes > 0) add_bias("head");
      if (out_.tensors.contains("head_dist.weight")) add_bias("head_dist");
      c().patch_bias = true;
    }
    c().head_bias = true;
    if (added_bias_) fold("biases of zeros are added");
  }

  void add_block_biases() {
    for (int64_t i = 0; i < c().depth; ++i) {
      if (c().attention_projection) add_bias(block(i, "attn.proj"));
      if (c().mlp != MlpKind::gated_split) add_bias(block(i, "mlp.fc1"));
      add_bias(block(i, "mlp.fc2"));
    }
    c().projection_bias = c().mlp_bias = true;
  }

  void set_head() {
    const Pooling pooling = c().pooling;
    const bool head = c().num_classes > 0;
    switch (target_) {
      case Family::timm:
        require(pooling != Pooling::class_and_mean, "class token and mean together");
        if (c().distillation_token && pooling == Pooling::class_token && head) double_head();
        require(!c().distillation_token || c().pooling == Pooling::distilled,
                "a distillation token that no head reads");
        require(!is_map(pooling) ||
                    ((c().pool_heads == 0 || c().pool_heads == c().num_heads) &&
                     (c().pool_mlp_hidden_dim == 0 || c().pool_mlp_hidden_dim == c().mlp_hidden())),
                "map pooling with heads and MLP of its own");
        break;
      case Family::hf_vit:
        require(pooling == Pooling::class_token, "any pooling but the class token's");
        break;
      case Family::hf_deit:
        require(pooling == Pooling::class_token || (pooling == Pooling::distilled && head),
                "any pooling but that of the class and distillation tokens");
        break;
      case Family::dinov2:
        require(pooling == Pooling::class_token && !head, "a head: only backbones are files of it");
        break;
      case Family::hf_dinov2:
        require(pooling == Pooling::class_and_mean || pooling == Pooling::class_token,
                "any pooling but the class token's");
        if (head && pooling == Pooling::class_token) widen_head();
        break;
      case Family::vit_pytorch:
        require(head, "a model without a head");
        require(pooling == Pooling::class_token || pooling == Pooling::mean_all ||
                    (pooling == Pooling::mean && c().prefix_tokens() == 0),
                "any pooling but the class token's and the mean of all tokens");
        break;
      case Family::vitrail:
        break;
    }
  }

  // timm's distilled models answer with the mean of two heads.
  void double_head() {
    for (const char* name : {"head.weight", "head.bias"}) {
      Tensor& tensor = at(name);
      out_.tensors[std::string("head_dist") + (name + 4)] =
          Tensor::zeros(tensor.shape()).to(tensor.dtype());
      tensor = scaled(tensor, 2);
    }
    c().pooling = Pooling::distilled;
    fold("the head is doubled, for a mean with a distillation head of zeros");
  }

  // transformers' DINOv2 classifier reads [class token, mean of patches].
  void widen_head() {
    Tensor& weight = at("head.weight");
    Tensor wide = Tensor::zeros({c().num_classes, 2 * c().embed_dim}, weight.dtype());
    const size_t row = weight.bytes() / static_cast<size_t>(c().num_classes);
    for (int64_t i = 0; i < c().num_classes; ++i)
      std::memcpy(static_cast<std::byte*>(wide.raw()) + static_cast<size_t>(i) * 2 * row,
                  static_cast<const std::byte*>(weight.raw()) + static_cast<size_t>(i) * row, row);
    weight = wide;
    c().pooling = Pooling::class_and_mean;
    fold("the head reads the mean of patches too, with weights of zero");
  }

  void set_mlp() {
    if (c().mlp == MlpKind::plain) return;
    require(c().mlp == MlpKind::gated_packed && c().activation == Activation::silu,
            "any gated MLP but SwiGLU with packed halves, the gate first");
    require(target_ == Family::timm || is_dinov2(), "a gated MLP");
  }

  // LayerNorm(x, e) = LayerNorm(s x, s^2 e): a residual stream s times as large makes the target's
  // epsilon act as the model's. A power of two costs no bit.
  void set_epsilon() {
    const double ours = c().layer_norm_epsilon;
    const double theirs = target_ == Family::vit_pytorch ? 1e-5 : 1e-6;
    // timm's CLIP towers have the other epsilon, but neither distillation nor gates.
    const bool tower = target_ == Family::timm && ours == 1e-5 && !c().distillation_token &&
                       c().mlp == MlpKind::plain;
    if (is_hf() || ours == theirs || tower) return;
    constexpr double kNegligible = 1e-10;  // against a variance
    double scale = std::exp2(std::round(std::log2(std::sqrt(theirs / ours))));
    if (std::abs(theirs / (scale * scale) - ours) > kNegligible) scale = std::sqrt(theirs / ours);
    const bool inner_norms = c().patch_norm || c().pre_norm || c().qk_norm || c().attention_norm ||
                             c().mlp_norm || is_map(c().pooling);
    require(!inner_norms && (c().final_norm || c().fc_norm),
            fmt::format("a layer_norm_epsilon of {} (theirs is {})", ours, theirs));
    std::vector<std::string> names = {"patch_embed.proj.weight",
                                      "patch_embed.proj.bias",
                                      "cls_token",
                                      "dist_token",
                                      "reg_token",
                                      "pos_embed"};
    for (int64_t i = 0; i < c().depth; ++i) {
      const auto writers = c().layer_scale
                               ? std::vector<const char*>{"ls1.gamma", "ls2.gamma"}
                               : std::vector<const char*>{"attn.proj.weight", "attn.proj.bias",
                                                          "mlp.fc2.weight", "mlp.fc2.bias"};
      for (const char* writer : writers) names.push_back(block(i, writer));
    }
    require(c().attention_projection || c().layer_scale,
            fmt::format("a layer_norm_epsilon of {} without an output projection", ours));
    for (const std::string& name : names)
      if (const auto found = out_.tensors.find(name); found != out_.tensors.end())
        found->second = scaled(found->second, scale);
    c().layer_norm_epsilon = theirs;
    fold(fmt::format("the residual stream is scaled by {}, so that {} in LayerNorm acts as {}",
                     scale, theirs, theirs / (scale * scale)));
  }

  Tensor scaled(const Tensor& tensor, double factor) const {
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

  Family target_;
  Adapted out_;
  bool added_bias_ = false;
};

}  // namespace

Adapted adapt(const VisionTransformerConfig& config, const TensorSource& canonical, Family target) {
  return Adapter(config, canonical, target).run();
}

}  // namespace vitrail
