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

// The definition to start from: what model_args cannot say is in its code.
std::string timm_architecture(const VisionTransformerConfig& c) {
  const PublishedArchitecture* own = find_published(c.architecture);
  if (own != nullptr && own->family() == "timm") {
    const VisionTransformerConfig p = published_config(*own);
    if (p.mlp == c.mlp && p.distillation_token == c.distillation_token &&
        p.layer_norm_epsilon == c.layer_norm_epsilon && p.norm_placement == c.norm_placement &&
        p.norm == c.norm && p.patch_output_norm == c.patch_output_norm)
      return c.architecture;
  }
  if (c.distillation_token) return "deit_base_distilled_patch16_224";
  if (c.mlp == MlpKind::gated_packed) return "vit_giant_patch14_dinov2";
  if (c.mlp == MlpKind::gated_split) return "aimv2_large_patch14_224";
  if (c.layer_norm_epsilon == 1e-5) return "vit_base_patch32_clip_224";
  return "vit_base_patch16_224";
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

nlohmann::json timm_config(const VisionTransformerConfig& c, const ConversionOptions& options,
                           std::vector<std::string>& folds) {
  const bool gated = c.mlp == MlpKind::gated_packed;
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
  if (c.norm == NormKind::root_mean_square && c.layer_norm_epsilon == 1e-6) {
    args["norm_layer"] = "rmsnorm";
    if (c.patch_output_norm) args["embed_norm_layer"] = "rmsnorm";
  } else if (c.patch_output_norm && c.norm == NormKind::layer) {
    args["embed_norm_layer"] = "layernorm";
  }
  if (!gated) args["act_layer"] = timm_activation_name(c.activation);
  TimmExport model{.architecture = timm_architecture(c),
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
