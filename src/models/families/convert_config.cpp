#include <array>
#include <cmath>

#include "core/error.h"
#include "models/families/answer_rules.h"
#include "models/families/convert.h"
#include "models/families/published.h"

namespace vitrail {
namespace {

using nlohmann::json;

json side(int64_t height, int64_t width) {
  if (height == width) return height;
  return json{height, width};
}

const char* activation_name(Activation activation, Family target) {
  const bool hf = target != Family::timm;
  switch (activation) {
    case Activation::gelu:
      return "gelu";
    case Activation::gelu_tanh:
      return hf ? "gelu_pytorch_tanh" : "gelu_tanh";
    case Activation::quick_gelu:
      return "quick_gelu";
    case Activation::relu:
      return "relu";
    case Activation::silu:
      return "silu";
    case Activation::tanh:  // of the layer before the head; nobody's MLP has it
    case Activation::none:
      break;
  }
  fail("convert", "{} models cannot express an MLP {}", name_of(target),
       activation == Activation::none ? "without activation" : "whose activation is tanh");
}

// timm computes int(dim * ratio); the quotient may fall a bit short.
double mlp_ratio(int64_t hidden, int64_t dim) {
  double ratio = static_cast<double>(hidden) / static_cast<double>(dim);
  while (static_cast<int64_t>(static_cast<double>(dim) * ratio) < hidden)
    ratio = std::nextafter(ratio, 1e9);
  return ratio;
}

const char* timm_pool(Pooling pooling) {
  switch (pooling) {
    case Pooling::mean:
    case Pooling::mean_all:
      return "avg";
    case Pooling::map:
    case Pooling::map_all:
      return "map";
    default:
      return "token";
  }
}

// The definition to start from: what model_args cannot say is in its code.
std::string timm_architecture(const VisionTransformerConfig& c) {
  const PublishedArchitecture* own = find_published(c.architecture);
  if (own != nullptr && !c.architecture.starts_with("dinov2_")) {
    const VisionTransformerConfig p = published_config(*own);
    if (p.mlp == c.mlp && p.distillation_token == c.distillation_token &&
        p.layer_norm_epsilon == c.layer_norm_epsilon && p.norm_placement == c.norm_placement)
      return c.architecture;
  }
  if (c.distillation_token) return "deit_base_distilled_patch16_224";
  if (c.mlp == MlpKind::gated_packed) return "vit_giant_patch14_dinov2";
  if (c.layer_norm_epsilon == 1e-5) return "vit_base_patch32_clip_224";
  return "vit_base_patch16_224";
}

json timm_config(const VisionTransformerConfig& c, const ConversionOptions& options) {
  const bool gated = c.mlp == MlpKind::gated_packed;
  json args = {
      {"img_size", side(c.image_height, c.image_width)},
      {"patch_size", side(c.patch_height, c.patch_width)},
      {"in_chans", c.in_channels},
      {"num_classes", c.num_classes},
      {"global_pool", timm_pool(c.pooling)},
      {"embed_dim", c.embed_dim},
      {"depth", c.depth},
      {"num_heads", c.num_heads},
      {"mlp_ratio", mlp_ratio(gated ? 2 * c.mlp_hidden() : c.mlp_hidden(), c.embed_dim)},
      {"qkv_bias", c.qkv_bias},
      {"qk_norm", c.qk_norm},
      {"scale_attn_norm", c.attention_norm},
      {"scale_mlp_norm", c.mlp_norm},
      {"proj_bias", c.projection_bias || c.mlp_bias},
      {"init_values", c.layer_scale ? json(c.layer_scale_init) : json(nullptr)},
      {"class_token", c.class_token},
      {"pos_embed", c.position == Position::none ? "none" : "learn"},
      {"no_embed_class",
       c.prefix_tokens() > 0 && c.position_prefix == 0 && c.position == Position::learned},
      {"reg_tokens", c.register_tokens},
      {"pre_norm", c.pre_norm},
      {"final_norm", c.final_norm || c.fc_norm},
      {"fc_norm", c.fc_norm},
      {"pool_include_prefix", c.pooling == Pooling::mean_all || c.pooling == Pooling::map_all}};
  if (!gated) args["act_layer"] = activation_name(c.activation, Family::timm);
  json pretrained = options.preprocess.is_object() ? options.preprocess : json::object();
  if (!pretrained.contains("input_size"))
    pretrained["input_size"] = {c.in_channels, c.image_height, c.image_width};
  pretrained["num_classes"] = c.num_classes;
  pretrained["fixed_input_size"] = true;
  pretrained["pool_size"] = nullptr;
  pretrained["first_conv"] = "patch_embed.proj";
  pretrained["classifier"] = c.distillation_token ? json{"head", "head_dist"} : json("head");

  json config = {{"architecture", timm_architecture(c)}, {"num_classes", c.num_classes},
                 {"num_features", c.embed_dim},          {"global_pool", timm_pool(c.pooling)},
                 {"model_args", std::move(args)},        {"pretrained_cfg", std::move(pretrained)}};
  if (!options.wnids.empty() && options.wnids.size() == options.labels.size()) {
    config["label_names"] = options.wnids;
    for (size_t i = 0; i < options.labels.size(); ++i)
      config["label_descriptions"][options.wnids[i]] = options.labels[i];
  } else if (!options.labels.empty()) {
    config["label_names"] = options.labels;
  }
  return config;
}

// The whole ratio that gives transformers' DINOv2 this hidden size.
int64_t dinov2_ratio(const VisionTransformerConfig& c) {
  constexpr int64_t kMaxRatio = 64;
  for (int64_t ratio = 1; ratio <= kMaxRatio; ++ratio) {
    const int64_t plain = c.embed_dim * ratio;
    // int(x * 2 / 3) + 7 rounded down to eights, in floating point as there.
    const int64_t gated = (static_cast<int64_t>(static_cast<double>(plain) * 2 / 3) + 7) / 8 * 8;
    if ((c.mlp == MlpKind::plain ? plain : gated) == c.mlp_hidden()) return ratio;
  }
  fail("convert",
       "hf_dinov2 models cannot express an MLP of {} in a width of {}: mlp_ratio is a "
       "whole number there",
       c.mlp_hidden(), c.embed_dim);
}

json hf_config(const VisionTransformerConfig& c, const ConversionOptions& options) {
  const bool dinov2 = options.target == Family::hf_dinov2;
  const bool deit = options.target == Family::hf_deit;
  const bool registers = dinov2 && c.register_tokens > 0;
  json config = {{"hidden_size", c.embed_dim},
                 {"num_hidden_layers", c.depth},
                 {"num_attention_heads", c.num_heads},
                 {"hidden_act",
                  c.mlp == MlpKind::plain ? activation_name(c.activation, options.target) : "gelu"},
                 {"layer_norm_eps", c.layer_norm_epsilon},
                 {"image_size", side(c.image_height, c.image_width)},
                 {"patch_size", side(c.patch_height, c.patch_width)},
                 {"num_channels", c.in_channels},
                 {"qkv_bias", c.qkv_bias},
                 {"hidden_dropout_prob", 0.0},
                 {"attention_probs_dropout_prob", 0.0}};
  if (c.num_heads * c.head_size() != c.embed_dim) config["head_dim"] = c.head_size();
  std::string kind = dinov2 ? "Dinov2" : deit ? "DeiT" : "ViT";
  if (registers) kind = "Dinov2WithRegisters";
  if (dinov2) {
    config["model_type"] = registers ? "dinov2_with_registers" : "dinov2";
    config["mlp_ratio"] = dinov2_ratio(c);
    config["use_swiglu_ffn"] = c.mlp == MlpKind::gated_packed;
    config["layerscale_value"] = 1.0;
    if (registers) config["num_register_tokens"] = c.register_tokens;
  } else {
    config["model_type"] = deit ? "deit" : "vit";
    config["intermediate_size"] = c.mlp_hidden();
  }
  if (c.num_classes == 0) {
    config["architectures"] = {kind + "Model"};
    return config;
  }
  config["architectures"] = {kind + "ForImageClassification" +
                             (c.pooling == Pooling::distilled ? "WithTeacher" : "")};
  for (int64_t i = 0; i < c.num_classes; ++i) {
    const std::string index = std::to_string(i);
    const bool named = static_cast<size_t>(i) < options.labels.size();
    const std::string label = named ? options.labels[static_cast<size_t>(i)] : "LABEL_" + index;
    config["id2label"][index] = label;
    config["label2id"][label] = i;
  }
  return config;
}

json own_config(const VisionTransformerConfig& c, const ConversionOptions& options) {
  json config = {{"family", name_of(options.target)}, {"model", to_json(c)}};
  if (options.target == Family::vitrail) config["model_type"] = "vitrail";
  if (!options.preprocess.is_null()) config["preprocess"] = options.preprocess;
  if (!options.labels.empty()) config["labels"] = options.labels;
  if (!options.wnids.empty()) config["wnids"] = options.wnids;
  return config;
}

}  // namespace

json config_for(const VisionTransformerConfig& config, const ConversionOptions& options,
                std::vector<std::string>& folds) {
  const bool timm = options.target == Family::timm;
  const bool own = options.target == Family::dinov2 || options.target == Family::vit_pytorch ||
                   options.target == Family::vitrail;
  if (own) return own_config(config, options);
  json written = timm ? timm_config(config, options) : hf_config(config, options);
  store_answer(config, options.target, written, folds);
  return written;
}

Family conversion_target(const std::string& name, const VisionTransformerConfig& config) {
  if (name != "hf") return family_from_name(name);
  if (config.distillation_token) return Family::hf_deit;
  if (config.layer_scale || config.register_tokens > 0 || config.mlp != MlpKind::plain ||
      config.pooling == Pooling::class_and_mean)
    return Family::hf_dinov2;
  return Family::hf_vit;
}

}  // namespace vitrail
