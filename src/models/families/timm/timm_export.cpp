#include <cmath>

#include "core/error.h"
#include "models/answer.h"
#include "models/families/answer_rules.h"
#include "models/families/published.h"
#include "models/families/reading/sides.h"
#include "models/families/timm/timm.h"
#include "models/families/timm/timm_arguments.h"
#include "models/families/timm/timm_definition.h"

namespace vitrail {
namespace {

// What model_args cannot say is in the definition's code.
bool says_the_rest(const VisionTransformerConfig& p, const VisionTransformerConfig& c) {
  const bool parallel = c.norm_placement == NormPlacement::parallel;
  return p.mlp == c.mlp && p.distillation_token == c.distillation_token &&
         p.layer_norm_epsilon == c.layer_norm_epsilon && p.norm_placement == c.norm_placement &&
         p.norm == c.norm && p.patch_output_norm == c.patch_output_norm &&
         p.parallel_branches == c.parallel_branches &&
         (!parallel || (p.differential_attention == c.differential_attention &&
                        p.layer_scale == c.layer_scale)) &&
         p.resnet_projection == c.resnet_projection &&
         (!c.resnet_projection || p.resnet == c.resnet);
}

// The definition to start from.
std::string timm_architecture(const VisionTransformerConfig& c) {
  const PublishedArchitecture* own = find_published(c.architecture);
  if (own != nullptr && own->family() == "timm" && says_the_rest(published_config(*own), c))
    return c.architecture;
  if (c.resnet_projection) return timm_hybrid_of(c);
  if (c.norm_placement == NormPlacement::parallel) {
    if (c.differential_attention) return "vit_dpwee_patch16_reg1_gap_256";
    return c.layer_scale ? "vit_pwee_patch16_reg1_gap_256" : "vit_base_patch16_xp_224";
  }
  if (c.parallel_branches > 1) return "vit_small_patch16_18x2_224";
  if (c.distillation_token) return "deit_base_distilled_patch16_224";
  if (c.mlp == MlpKind::gated_packed) return "vit_giant_patch14_dinov2";
  if (c.mlp == MlpKind::gated_split) return "aimv2_large_patch14_224";
  if (c.layer_norm_epsilon == 1e-5) return "vit_base_patch32_clip_224";
  return "vit_base_patch16_224";
}

// The epsilon of norms that are said by name is 1e-6.
void say_norms(const VisionTransformerConfig& c, const VisionTransformerConfig& definition,
               nlohmann::json& args) {
  const char* name = c.norm == NormKind::layer ? "layernorm" : "rmsnorm";
  if (c.norm != definition.norm) args["norm_layer"] = name;
  if (c.patch_output_norm && !definition.patch_output_norm) args["embed_norm_layer"] = name;
}

void store_timm_answer(const ClassAnswer& answer, nlohmann::json& config,
                       std::vector<std::string>& folds) {
  if (answer.classes == 0 || answer.meaning == Answer::softmax) return;
  config[kAnswerKey] = answer_word(answer);
  folds.push_back(
      fmt::format("timm does not say what logits mean: here they are {}, which {} in config.json "
                  "keeps for Vitrail alone",
                  described(answer), kAnswerKey));
}

}  // namespace

const char* timm_pool_name(Pooling pooling) {
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

const char* timm_hybrid_of(const VisionTransformerConfig& config) {
  for (const PublishedArchitecture& each : published_architectures())
    if (each.stem != PublishedArchitecture::kPatches &&
        published_config(each).resnet == config.resnet)
      return each.name.data();
  return nullptr;
}

nlohmann::json timm_config(const VisionTransformerConfig& c, const ConversionOptions& options,
                           std::vector<std::string>& folds) {
  const bool gated = c.mlp == MlpKind::gated_packed;
  const std::string architecture = timm_architecture(c);
  const VisionTransformerConfig definition = published_config(*find_published(architecture));
  nlohmann::json args = {
      {"img_size", sides_to_json(c.image_height, c.image_width)},
      {"patch_size", sides_to_json(c.patch_height, c.patch_width)},
      {"in_chans", c.in_channels},
      {"num_classes", c.num_classes},
      {"global_pool", timm_pool_name(c.pooling)},
      {"embed_dim", c.embed_dim},
      {"depth", c.depth},
      {"num_heads", c.num_heads},
      {"mlp_ratio", timm_ratio(gated ? 2 * c.mlp_hidden() : c.mlp_hidden(), c.embed_dim)},
      {"qkv_bias", c.qkv_bias},
      {"qk_norm", c.qk_norm},
      {"scale_attn_norm", c.attention_norm},
      {"scale_mlp_norm", c.mlp_norm},
      {"proj_bias", c.projection_bias || c.mlp_bias},
      {"init_values", c.layer_scale ? nlohmann::json(c.layer_scale_init) : nlohmann::json(nullptr)},
      {"class_token", c.class_token},
      {"pos_embed", c.position == Position::none ? "none" : "learn"},
      {"no_embed_class",
       c.prefix_tokens() > 0 && c.position_prefix == 0 && c.position == Position::learned},
      {"reg_tokens", c.register_tokens},
      {"pre_norm", c.pre_norm},
      {"final_norm", c.final_norm || c.fc_norm},
      {"fc_norm", c.fc_norm},
      {"pool_include_prefix", c.pooling == Pooling::mean_all || c.pooling == Pooling::map_all}};
  say_norms(c, definition, args);
  if (c.differential_attention != definition.differential_attention)
    args["attn_layer"] = c.differential_attention ? "diff" : "attn";
  // Zero is none where the definition has a LayerScale; null would be the definition's own.
  if (!c.layer_scale && definition.layer_scale) args["init_values"] = 0.0;
  if (!gated) args["act_layer"] = timm_activation_name(c.activation);
  TimmExport model{.architecture = architecture,
                   .arguments = std::move(args),
                   .global_pool = timm_pool_name(c.pooling),
                   .features = c.embed_dim};
  if (c.distillation_token) model.classifier = {"head", "head_dist"};
  return timm_config_json(std::move(model), c, options, folds);
}

double timm_ratio(int64_t hidden, int64_t dim) {
  double ratio = static_cast<double>(hidden) / static_cast<double>(dim);
  while (static_cast<int64_t>(static_cast<double>(dim) * ratio) < hidden)
    ratio = std::nextafter(ratio, 1e9);
  return ratio;
}

nlohmann::json timm_config_json(TimmExport model, const NetworkConfig& config,
                                const ConversionOptions& options, std::vector<std::string>& folds) {
  const PictureInput pictures = config.pictures();
  const ClassAnswer answer = config.class_answer();
  nlohmann::json pretrained =
      options.preprocess.is_object() ? options.preprocess : nlohmann::json::object();
  if (!pretrained.contains("input_size"))
    pretrained["input_size"] = {pictures.channels, pictures.height, pictures.width};
  pretrained["num_classes"] = answer.classes;
  pretrained["fixed_input_size"] = true;
  pretrained["pool_size"] = nullptr;
  pretrained["first_conv"] = model.first_convolution;
  pretrained["classifier"] = std::move(model.classifier);

  nlohmann::json out = {
      {"architecture", model.architecture},       {"num_classes", answer.classes},
      {"num_features", model.features},           {"global_pool", model.global_pool},
      {"model_args", std::move(model.arguments)}, {"pretrained_cfg", std::move(pretrained)}};
  if (!options.wnids.empty() && options.wnids.size() == options.labels.size()) {
    out["label_names"] = options.wnids;
    for (size_t i = 0; i < options.labels.size(); ++i)
      out["label_descriptions"][options.wnids[i]] = options.labels[i];
  } else if (!options.labels.empty()) {
    out["label_names"] = options.labels;
  }
  store_timm_answer(answer, out, folds);
  return out;
}

}  // namespace vitrail
