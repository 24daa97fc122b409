#include "models/families/writing/adapt.h"

#include <cmath>

#include "core/error.h"
#include "models/families/vit_family.h"

namespace vitrail {
namespace {

constexpr const char* kOtherPictures =
    "positions are stretched to pictures of another size by the target's rule";

class Adapter {
 public:
  Adapter(const VitConfig& config, const TensorSource& canonical, const VitFamily& target)
      : target_(target), can_(target.expressible()), model_(config, canonical, target.name()) {}

  Adapted run() {
    refuse_unshared();
    set_patch_embedding();
    set_norms();
    set_tokens();
    set_positions();
    set_projections();
    set_biases();
    target_.express_head(model_);
    set_mlp();
    set_epsilon();
    target_.join_tensors(model_);
    return {.config = std::move(model_.config),
            .tensors = std::move(model_.tensors),
            .folds = std::move(model_.folds)};
  }

 private:
  VitConfig& c() { return model_.config; }
  void require(bool possible, const std::string& what) const { model_.require(possible, what); }
  void fold(const std::string& what) { model_.fold(what); }
  static std::string block(int64_t index, const char* name) {
    return ModelEdit::block(index, name);
  }

  void refuse_unshared() {
    // What no other family has.
    require(c().patch_embedding != PatchEmbedding::tokenizer, "a convolutional tokenizer");
    require(c().patch_embedding != PatchEmbedding::resnet ||
                (can_.block_forms && c().resnet_projection),
            "a residual network as patch embedding");
    require(can_.computed_positions || c().position.kind == Position::none ||
                c().position.kind == Position::learned,
            "positions that are computed, not learned");
    require(!can_.computed_positions || c().position.kind == Position::sincos_2d_closed,
            "any positions but sincos_2d_closed");
    require(can_.projection_bias || !c().block.attention.projection_bias,
            "a bias of attention's output");
    const bool parallel = c().block.norms == NormPlacement::parallel;
    require(c().block.norms == NormPlacement::pre || (parallel && can_.block_forms) ||
                (c().block.norms == NormPlacement::res_post && can_.res_post),
            "any norm_placement but pre");
    require(c().block.branches == 1 || can_.block_forms, "parallel_branches");
    require(!c().block.attention.differential || can_.block_forms, "differential attention");
    require(c().block.mlp.output_bias || parallel, "mlp_output_bias false");
    require_attention_positions();
    require(c().head.pooling != Pooling::sequence, "sequence pooling");
    require(c().head.pre_logits_dim == 0, "a layer with tanh before the head");
    require(!c().block.attention.qk_norm || can_.inner_norms || can_.qk_norm, "qk_norm");
    require(c().block.attention.mixing == HeadMixingKind::none ||
                (can_.reattention && c().block.attention.mixing == HeadMixingKind::reattention),
            "head_mixing");
    require(!c().block.attention.output_norm || can_.inner_norms, "attention_norm");
    require(!c().block.mlp.hidden_norm || can_.inner_norms || can_.mlp_norm, "mlp_norm");
    require(!c().pre_norm || can_.inner_norms || can_.pre_norm != Expressible::kNever, "pre_norm");
    require(c().pre_norm || can_.pre_norm != Expressible::kAlways, "a model without pre_norm");
    require(c().norm == NormKind::layer || can_.rms_norm, "RMSNorm");
    require(!c().patches.output_norm || can_.rms_norm, "a norm behind the patch embedding");
    require(c().head_size() * c().block.attention.num_heads == c().embed_dim || can_.any_head_size,
            fmt::format("{} heads of {} in a width of {}", c().block.attention.num_heads,
                        c().head_size(), c().embed_dim));
    require(can_.any_activation || c().block.mlp.activation == Activation::gelu ||
                c().block.mlp.kind != MlpKind::plain,
            "another activation than GELU");
    require(can_.rectangles || c().patches.patch_height == c().patches.patch_width,
            "patches that are not square");
  }

  void drop_stored_periods() {
    constexpr double kRounding = 1e-6;
    const Tensor periods = model_.at("rope.periods").to(DType::f32);
    const auto count = static_cast<double>(periods.numel());
    for (int64_t i = 0; i < periods.numel(); ++i) {
      const double rule = std::pow(c().rotary.base, static_cast<double>(i) / count);
      require(std::abs(periods.f32()[i] - rule) <= kRounding * rule,
              fmt::format("the periods of rotary positions that the file holds, which differ from "
                          "those of the base {} (as if rounded)",
                          c().rotary.base));
    }
    model_.tensors.erase("rope.periods");
    c().rotary.stored_periods = false;
    fold("the stored periods of rotary positions are those of the rule");
  }

  void require_attention_positions() {
    require(c().rotary.kind == Rotary::none || can_.rotary, "rotary positions");
    if (c().rotary.stored_periods && !can_.stored_periods) drop_stored_periods();
    for (const RelativePosition kind : {c().relative.per_block, c().relative.shared}) {
      require(kind != RelativePosition::table || can_.relative_table,
              "a table by relative position");
      require(
          kind == RelativePosition::none || kind == RelativePosition::table || can_.relative_mlp,
          "relative positions by a small network");
    }
  }

  void set_patch_embedding() {
    const bool linear = can_.linear_patches;
    require(!c().patches.norms || linear, "norms around the patch embedding");
    if (linear != (c().patch_embedding == PatchEmbedding::linear))
      turn_patch_embedding(model_, linear);
  }

  void set_norms() {
    if (can_.final_norm == Expressible::kOneOfTwo)
      return require(c().final_norm != c().head.norm, "any but one norm before the head");
    if (can_.final_norm == Expressible::kAtMostOne)
      return require(!(c().final_norm && c().head.norm), "both final_norm and fc_norm");
    if (can_.final_norm == Expressible::kTwice)
      return require(c().final_norm && c().head.norm,
                     "a model without a norm on both sides of pooling");
    // One token's norm is the same before it is picked and after.
    const bool one_token =
        c().head.pooling == Pooling::class_token || c().head.pooling == Pooling::distilled;
    if (can_.final_norm == Expressible::kAfterPooling) {
      if (c().final_norm && !c().head.norm && one_token) {
        model_.rename("norm.weight", "fc_norm.weight");
        model_.rename("norm.bias", "fc_norm.bias");
        c().head.norm = true;
        c().final_norm = false;
        fold("the norm before pooling stands after it");
      }
      return require(!c().final_norm, "a norm of all tokens");
    }
    if (c().head.norm && !c().final_norm && one_token) {
      model_.rename("fc_norm.weight", "norm.weight");
      if (c().norm == NormKind::layer) model_.rename("fc_norm.bias", "norm.bias");
      c().head.norm = false;
      c().final_norm = true;
      fold("the norm after pooling stands before it");
    }
    require(!c().head.norm, "a norm of the pooled vector");
    require(c().final_norm || can_.final_norm == Expressible::kOptionalBefore,
            "a model without the norm of all tokens");
  }

  void set_tokens() {
    const bool distilled = c().tokens.distillation_token;
    require(!distilled || can_.distillation_token != Expressible::kNever, "a distillation token");
    require(distilled || can_.distillation_token != Expressible::kAlways,
            "a model without a distillation token");
    require(c().tokens.class_token || can_.class_token != Expressible::kAlways,
            "a model without a class token");
    require(!c().tokens.class_token || can_.class_token != Expressible::kNever, "a class token");
    require(c().tokens.register_tokens == 0 || can_.register_tokens, "register tokens");
    require(!(distilled && c().tokens.register_tokens > 0),
            "distillation and register tokens together");
    if (c().block.layer_scale)
      require(can_.layer_scale != Expressible::kNever, "LayerScale");
    else if (can_.layer_scale == Expressible::kAlways)
      add_layer_scale();
    if (!can_.mask_token) {
      model_.tensors.erase("mask_token");
    } else if (model_.tensors.contains("mask_token")) {
      model_.at("mask_token") = model_.at("mask_token").reshape({1, c().embed_dim});
    } else {
      model_.tensors["mask_token"] = Tensor::zeros({1, c().embed_dim}).to(model_.dtype());
      fold("a mask token of zeros is added");
    }
    if (can_.empty_class_token && !c().tokens.class_token)
      model_.tensors["cls_token"] = Tensor::zeros({0, c().embed_dim}).to(model_.dtype());
  }

  void add_layer_scale() {
    for (int64_t i = 0; i < c().depth; ++i)
      for (const char* name : {"ls1.gamma", "ls2.gamma"})
        model_.tensors[block(i, name)] = Tensor::full({c().embed_dim}, 1.0f).to(model_.dtype());
    c().block.layer_scale = true;
    fold("LayerScale of ones is added");
  }

  // Prefix tokens that the target's table of positions covers.
  int64_t wanted_prefix() {
    if (!can_.free_position_prefix || c().tokens.distillation_token)
      return (c().tokens.class_token ? 1 : 0) + (c().tokens.distillation_token ? 1 : 0);
    return c().position.prefix == c().prefix_tokens() ? c().position.prefix : 0;
  }

  void set_relative_resize() {
    const RelativeResize rule = target_.relative_resize();
    if (!c().relative.has_table() || c().relative.table.resize == rule) return;
    c().relative.table.resize = rule;
    fold(kOtherPictures);
  }

  void set_position_resize() {
    const PositionResize rule = target_.position_resize(c());
    if (rule == c().position.resize || c().position.kind != Position::learned) return;
    c().position.resize = rule;
    fold(kOtherPictures);
  }

  void set_positions() {
    set_position_resize();
    set_relative_resize();
    if (c().has_position_grid() && c().position.grid_height > 0) {
      c().image_height = c().position.grid_height * c().patches.patch_height;
      c().image_width = c().position.grid_width * c().patches.patch_width;
      c().position.grid_height = c().position.grid_width = 0;
      fold("image_size is that of the stored positions");
    }
    require(can_.rectangles || c().image_height == c().image_width, "pictures that are not square");
    if (c().position.kind == Position::none) {
      if (can_.no_positions && !c().tokens.distillation_token) return;
      const int64_t grid = c().grid_height(c().image_height) * c().grid_width(c().image_width);
      c().position.kind = Position::learned;
      c().position.prefix = wanted_prefix();
      model_.tensors["pos_embed"] =
          Tensor::zeros({1, grid + c().position.prefix, c().embed_dim}).to(model_.dtype());
      fold("positions of zeros are added");
      return;
    }
    const int64_t wanted = wanted_prefix();
    if (c().position.prefix > wanted) fold_positions(model_, wanted);
    if (c().position.prefix < wanted) add_positions(model_, wanted);
  }

  void set_projections() {
    if (c().block.attention.projection || can_.no_projection) return;
    for (int64_t i = 0; i < c().depth; ++i) {
      Tensor identity = Tensor::zeros({c().embed_dim, c().embed_dim});
      for (int64_t j = 0; j < c().embed_dim; ++j) identity.f32()[j * (c().embed_dim + 1)] = 1;
      model_.tensors[block(i, "attn.proj.weight")] = identity.to(model_.dtype());
    }
    c().block.attention.projection = true;
    fold("identity projections are added");
  }

  void add_bias(const std::string& module) {
    const int64_t rows = model_.at(module + ".weight").size(0);
    if (model_.tensors.emplace(module + ".bias", Tensor::zeros({rows}).to(model_.dtype())).second)
      added_bias_ = true;
  }

  void set_biases() {
    require(!c().block.attention.qkv_bias || can_.qkv_bias != Expressible::kNever,
            "a bias of q, k and v");
    if (c().block.branches > 1) {
      require(c().block.attention.key_bias || can_.no_key_bias, "branches whose k has no bias");
      require(c().block.attention.projection_bias == c().block.mlp.bias,
              "branches with other biases than their MLPs'");
      return;
    }
    if (!c().block.attention.qkv_bias && can_.qkv_bias == Expressible::kAlways) {
      for (int64_t i = 0; i < c().depth; ++i) add_bias(block(i, "attn.qkv"));
      c().block.attention.qkv_bias = c().block.attention.key_bias = true;
    }
    set_key_bias();
    if (can_.optional_biases) {
      require(!(c().pre_norm && c().patches.bias), "a patch bias before norm_pre");
      if (!c().patches.bias && !c().pre_norm) add_bias("patch_embed.proj");
      c().patches.bias = !c().pre_norm;
      if (c().block.attention.projection_bias || c().block.mlp.bias || can_.block_biases)
        add_block_biases();
    } else {
      const bool patch_bias = can_.patch_bias != Expressible::kNever;
      require(!c().patches.bias || patch_bias, "a patch bias");
      if (patch_bias) add_bias("patch_embed.proj");
      add_block_biases();
      c().patches.bias = patch_bias;
    }
    if (!can_.optional_head_bias) {
      if (c().num_classes > 0) add_bias("head");
      c().head.bias = true;
    }
    if (model_.tensors.contains("head_dist.weight")) add_bias("head_dist");
    if (added_bias_) fold("biases of zeros are added");
  }

  // One switch for the projections of attention and MLP.
  void add_block_biases() {
    for (int64_t i = 0; i < c().depth; ++i) {
      if (c().block.attention.projection && can_.projection_bias) add_bias(block(i, "attn.proj"));
      if (c().block.mlp.kind != MlpKind::gated_split) {
        add_bias(block(i, "mlp.fc1"));
      } else {
        add_bias(block(i, "mlp.fc1_g"));
        add_bias(block(i, "mlp.fc1_x"));
      }
      add_bias(block(i, "mlp.fc2"));
    }
    c().block.attention.projection_bias = can_.projection_bias;
    c().block.mlp.bias = true;
  }

  // Without a rotation a bias of k adds the same to all scores of a query.
  void set_key_bias() {
    if (!c().block.attention.qkv_bias) return;
    if (!c().block.attention.key_bias && !can_.no_key_bias) {
      for (int64_t i = 0; i < c().depth; ++i) join_biases(model_, block(i, "attn."));
      c().block.attention.key_bias = true;
      fold("k gets a bias of zeros");
    } else if (c().block.attention.key_bias && !can_.with_key_bias) {
      require(c().rotary.kind == Rotary::none && !c().block.attention.qk_norm,
              "a bias of k that is turned or normed");
      for (int64_t i = 0; i < c().depth; ++i) split_biases(model_, block(i, "attn."));
      c().block.attention.key_bias = false;
      fold("the bias of k, which changes no answer, is left out");
    }
  }

  void set_mlp() {
    if (c().block.mlp.kind == MlpKind::plain) return;
    if (c().block.mlp.kind == MlpKind::gated_split && can_.rms_norm) return;  // express_head() asks
    if (can_.split_gate && (can_.any_activation || c().block.mlp.activation == Activation::silu)) {
      if (c().block.mlp.kind == MlpKind::gated_split) return;
      if (c().block.mlp.kind == MlpKind::gated_packed && !can_.gated_mlp) {
        for (int64_t i = 0; i < c().depth; ++i) split_gate(model_, block(i, "mlp."));
        c().block.mlp.kind = MlpKind::gated_split;
        fold("the packed halves of a gated MLP are matrices of their own");
        return;
      }
    }
    require(
        c().block.mlp.kind == MlpKind::gated_packed && c().block.mlp.activation == Activation::silu,
        "any gated MLP but SwiGLU with packed halves, the gate first");
    require(can_.gated_mlp, "a gated MLP");
  }

  // LayerNorm(x, e) = LayerNorm(s x, s^2 e): a residual stream s times as large makes the target's
  // epsilon act as the model's. A power of two costs no bit.
  void set_epsilon() {
    const double ours = c().layer_norm_epsilon, theirs = target_.written_epsilon(c());
    if (ours == theirs) return;
    constexpr double kNegligible = 1e-10;  // against a variance
    double scale = std::exp2(std::round(std::log2(std::sqrt(theirs / ours))));
    if (std::abs(theirs / (scale * scale) - ours) > kNegligible) scale = std::sqrt(theirs / ours);
    const bool inner_norms = c().patches.norms || c().patches.output_norm || c().pre_norm ||
                             c().block.attention.qk_norm || c().block.attention.output_norm ||
                             c().block.mlp.hidden_norm || is_map(c().head.pooling) ||
                             c().block.norms == NormPlacement::res_post || c().block.branches > 1 ||
                             c().patch_embedding == PatchEmbedding::resnet;
    require(!inner_norms && (c().final_norm || c().head.norm),
            fmt::format("a layer_norm_epsilon of {} (theirs is {})", ours, theirs));
    std::vector<std::string> names = {"patch_embed.proj.weight",
                                      "patch_embed.proj.bias",
                                      "cls_token",
                                      "dist_token",
                                      "reg_token",
                                      "pos_embed"};
    for (int64_t i = 0; i < c().depth; ++i) {
      const auto writers = c().block.layer_scale
                               ? std::vector<const char*>{"ls1.gamma", "ls2.gamma"}
                               : std::vector<const char*>{"attn.proj.weight", "attn.proj.bias",
                                                          "mlp.fc2.weight", "mlp.fc2.bias"};
      for (const char* writer : writers) names.push_back(block(i, writer));
    }
    require(c().block.attention.projection || c().block.layer_scale,
            fmt::format("a layer_norm_epsilon of {} without an output projection", ours));
    for (const std::string& name : names)
      if (const auto found = model_.tensors.find(name); found != model_.tensors.end())
        found->second = model_.scaled(found->second, scale);
    c().layer_norm_epsilon = theirs;
    fold(fmt::format("the residual stream is scaled by {}, so that {} in LayerNorm acts as {}",
                     scale, theirs, theirs / (scale * scale)));
  }

  const VitFamily& target_;
  const Expressible& can_;
  ModelEdit model_;
  bool added_bias_ = false;
};

}  // namespace

Adapted adapt_vit(const VitConfig& config, const TensorSource& canonical, const VitFamily& target) {
  return Adapter(config, canonical, target).run();
}

}  // namespace vitrail
