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
bool says_the_rest(const VitConfig& p, const VitConfig& c) {
  const bool parallel = c.block.norms == NormPlacement::parallel;
  return p.block.mlp.kind == c.block.mlp.kind &&
         p.tokens.distillation_token == c.tokens.distillation_token &&
         p.layer_norm_epsilon == c.layer_norm_epsilon && p.block.norms == c.block.norms &&
         p.norm == c.norm && p.patches.output_norm == c.patches.output_norm &&
         p.block.branches == c.block.branches &&
         (!parallel || (p.block.attention.differential == c.block.attention.differential &&
                        p.block.layer_scale == c.block.layer_scale)) &&
         p.resnet_projection == c.resnet_projection &&
         (!c.resnet_projection || p.resnet == c.resnet);
}

// The definition to start from.
std::string timm_architecture(const VitConfig& c) {
  const PublishedArchitecture* own = find_published(c.architecture);
  if (own != nullptr && own->family() == "timm" && says_the_rest(published_config(*own), c))
    return c.architecture;
  if (c.resnet_projection) return timm_hybrid_of(c);
  if (c.block.norms == NormPlacement::parallel) {
    if (c.block.attention.differential) return "vit_dpwee_patch16_reg1_gap_256";
    return c.block.layer_scale ? "vit_pwee_patch16_reg1_gap_256" : "vit_base_patch16_xp_224";
  }
  if (c.block.branches > 1) return "vit_small_patch16_18x2_224";
  if (c.tokens.distillation_token) return "deit_base_distilled_patch16_224";
  if (c.block.mlp.kind == MlpKind::gated_packed) return "vit_giant_patch14_dinov2";
  if (c.block.mlp.kind == MlpKind::gated_split) return "aimv2_large_patch14_224";
  if (c.layer_norm_epsilon == 1e-5) return "vit_base_patch32_clip_224";
  return "vit_base_patch16_224";
}

// The epsilon of norms that are said by name is 1e-6.
void say_norms(const VitConfig& c, const VitConfig& definition, nlohmann::json& args) {
  const char* name = c.norm == NormKind::layer ? "layernorm" : "rmsnorm";
  if (c.norm != definition.norm) args["norm_layer"] = name;
  if (c.patches.output_norm && !definition.patches.output_norm) args["embed_norm_layer"] = name;
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

const char* timm_hybrid_of(const VitConfig& config) {
  for (const PublishedArchitecture& each : published_architectures())
    if (each.stem != PublishedArchitecture::kPatches &&
        published_config(each).resnet == config.resnet)
      return each.name.data();
  return nullptr;
}

nlohmann::json timm_config(const VitConfig& c, const ConversionOptions& options,
                           std::vector<std::string>& folds) {
  const bool gated = c.block.mlp.kind == MlpKind::gated_packed;
  const std::string architecture = timm_architecture(c);
  const VitConfig definition = published_config(*find_published(architecture));
  nlohmann::json args = {
      {"img_size", sides_to_json(c.image_height, c.image_width)},
      {"patch_size", sides_to_json(c.patches.patch_height, c.patches.patch_width)},
      {"in_chans", c.in_channels},
      {"num_classes", c.num_classes},
      {"global_pool", timm_pool_name(c.head.pooling)},
      {"embed_dim", c.embed_dim},
      {"depth", c.depth},
      {"num_heads", c.block.attention.num_heads},
      {"mlp_ratio", timm_ratio(gated ? 2 * c.mlp_hidden() : c.mlp_hidden(), c.embed_dim)},
      {"qkv_bias", c.block.attention.qkv_bias},
      {"qk_norm", c.block.attention.qk_norm},
      {"scale_attn_norm", c.block.attention.output_norm},
      {"scale_mlp_norm", c.block.mlp.hidden_norm},
      {"proj_bias", c.block.attention.projection_bias || c.block.mlp.bias},
      {"init_values",
       c.block.layer_scale ? nlohmann::json(c.block.layer_scale_init) : nlohmann::json(nullptr)},
      {"class_token", c.tokens.class_token},
      {"pos_embed", c.position.kind == Position::none ? "none" : "learn"},
      {"no_embed_class",
       c.prefix_tokens() > 0 && c.position.prefix == 0 && c.position.kind == Position::learned},
      {"reg_tokens", c.tokens.register_tokens},
      {"pre_norm", c.pre_norm},
      {"final_norm", c.final_norm || c.head.norm},
      {"fc_norm", c.head.norm},
      {"pool_include_prefix",
       c.head.pooling == Pooling::mean_all || c.head.pooling == Pooling::map_all}};
  say_norms(c, definition, args);
  if (c.block.attention.differential != definition.block.attention.differential)
    args["attn_layer"] = c.block.attention.differential ? "diff" : "attn";
  // Zero is none where the definition has a LayerScale; null would be the definition's own.
  if (!c.block.layer_scale && definition.block.layer_scale) args["init_values"] = 0.0;
  if (!gated) args["act_layer"] = timm_activation_name(c.block.mlp.activation);
  TimmExport model{.architecture = architecture,
                   .arguments = std::move(args),
                   .global_pool = timm_pool_name(c.head.pooling),
                   .features = c.embed_dim};
  if (c.tokens.distillation_token) model.classifier = {"head", "head_dist"};
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
