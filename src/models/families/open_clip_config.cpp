#include "models/families/open_clip_config.h"

#include <array>
#include <vector>

#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"
#include "models/families/answer_rules.h"
#include "models/families/published.h"
#include "models/families/reading/fields.h"
#include "models/families/reading/sides.h"

namespace vitrail {
namespace {

// timm's definitions from which the tower's arguments make it: they differ in the norms' epsilon.
constexpr const char* kBaseEpsilon5 = "vit_base_patch16_clip_224";
constexpr const char* kBaseEpsilon6 = "vit_base_patch16_224";

// Of OpenAI's data, which OpenCLIP takes where its configuration says nothing.
const std::vector<double> kClipMean = {0.48145466, 0.4578275, 0.40821073};
const std::vector<double> kClipStd = {0.26862954, 0.26130258, 0.27577711};

constexpr FieldRule kClipTop[] = {{"model_cfg"}, {"preprocess_cfg"}};

// Arguments of OpenCLIP's models; what they say of texts is not looked at.
constexpr FieldRule kClipModel[] = {
    {"embed_dim"},
    {"vision_cfg"},
    {"quick_gelu"},
    {"text_cfg", FieldRule::kIdle},
    {"custom_text", FieldRule::kIdle},
    {"hf_tokenizer_name", FieldRule::kIdle},
    {"init_logit_scale", FieldRule::kIdle},
    {"init_logit_bias", FieldRule::kIdle},
    {"nonscalar_logit_scale", FieldRule::kFlag},
    {"output_dict", FieldRule::kFlag},
    {"multimodal_cfg", FieldRule::kOnly, "[]"},
};

// Its CLIPVisionCfg.
constexpr FieldRule kClipVision[] = {
    {"layers"},
    {"width"},
    {"head_width"},
    {"mlp_ratio"},
    {"patch_size"},
    {"image_size"},
    {"ls_init_value"},
    {"no_ln_pre"},
    {"pool_type"},
    {"final_ln_after_pool"},
    {"act_kwargs"},
    {"norm_kwargs"},
    {"timm_model_name"},
    {"timm_pool"},
    {"timm_proj"},
    {"patch_dropout", FieldRule::kNumber},
    {"pos_embed_type", FieldRule::kIdle},  // the table is stored, however it was made
    {"output_tokens", FieldRule::kFlag},
    {"attentional_pool", FieldRule::kOnly, "[false]"},
    {"attn_pooler_queries", FieldRule::kNumber},
    {"attn_pooler_heads", FieldRule::kNumber},
    {"block_type", FieldRule::kOnly, R"(["default"])"},
    {"qk_norm", FieldRule::kOnly, "[false]"},
    {"scaled_cosine_attn", FieldRule::kOnly, "[false]"},
    {"scale_heads", FieldRule::kOnly, "[false]"},
    {"scale_attn_inner", FieldRule::kOnly, "[false]"},
    {"scale_attn", FieldRule::kOnly, "[false]"},
    {"scale_fc", FieldRule::kOnly, "[false]"},
    {"timm_model_pretrained", FieldRule::kFlag},
    {"timm_proj_bias", FieldRule::kFlag},  // the tensors say it
    {"timm_drop", FieldRule::kNumber},
    {"timm_drop_path", FieldRule::kNumber},
};

constexpr FieldRule kClipPreprocess[] = {
    {"size", FieldRule::kIdle},  // the tower's own counts
    {"mode", FieldRule::kOnly, R"(["RGB"])"},
    {"mean"},
    {"std"},
    {"interpolation"},
    {"resize_mode", FieldRule::kOnly, R"(["shortest", "squash"])"},
    {"fill_color", FieldRule::kNumber},  // of pictures that are filled up
};

Json object_in(const Json& holder, const char* key, const std::string& place) {
  const auto found = holder.find(key);
  if (found == holder.end() || found->is_null()) return Json::object();
  if (!found->is_object()) fail("clip", "{}: {} is not an object", place, key);
  return *found;
}

void check_part(const Json& part, const std::string& place, std::span<const FieldRule> rules) {
  const std::array<std::span<const FieldRule>, 1> all = {rules};
  check_fields(part, {place, "OpenCLIP's", all});
}

template <typename T>
T value_or(const Json& config, const char* key, T otherwise, const std::string& place) {
  return get_optional<T>(config, key, place).value_or(otherwise);
}

struct ClipParts {
  Json model, vision, preprocess;
  std::string place;  // of vision_cfg
};

ClipParts clip_parts(const Json& config, const std::string& place) {
  if (!config.contains("model_cfg"))
    fail("clip",
         "{}: has no model_cfg, and the tensors have OpenCLIP's names; its configuration is "
         "open_clip_config.json",
         place);
  check_part(config, place, kClipTop);
  ClipParts parts{.model = object_in(config, "model_cfg", place),
                  .vision = {},
                  .preprocess = object_in(config, "preprocess_cfg", place),
                  .place = place + "'s vision_cfg"};
  parts.vision = object_in(parts.model, "vision_cfg", place);
  check_part(parts.model, place + "'s model_cfg", kClipModel);
  check_part(parts.vision, parts.place, kClipVision);
  check_part(parts.preprocess, place + "'s preprocess_cfg", kClipPreprocess);
  return parts;
}

// One number stands for every channel.
std::vector<double> moments(const Json& preprocess, const char* key,
                            const std::vector<double>& otherwise, const std::string& place) {
  const auto found = preprocess.find(key);
  if (found == preprocess.end() || found->is_null()) return otherwise;
  if (found->is_number()) return std::vector<double>(3, found->get<double>());
  return get<std::vector<double>>(preprocess, key, place);
}

// Its image_transform() of evaluation, where "random" is bicubic.
Json pretrained_of(const Json& preprocess, int64_t height, int64_t width,
                   const std::string& place) {
  const auto interpolation = value_or<std::string>(preprocess, "interpolation", "bicubic", place);
  check(interpolation == "bicubic" || interpolation == "bilinear" || interpolation == "random",
        "clip", "{}: interpolation '{}' is not known; bicubic, bilinear and random are", place,
        printable(interpolation));
  const bool squash =
      value_or<std::string>(preprocess, "resize_mode", "shortest", place) == "squash";
  return {{"input_size", {3, height, width}},
          {"mean", moments(preprocess, "mean", kClipMean, place)},
          {"std", moments(preprocess, "std", kClipStd, place)},
          {"interpolation", interpolation == "bilinear" ? "bilinear" : "bicubic"},
          {"crop_pct", 1.0},
          {"crop_mode", squash ? "squash" : "center"}};
}

std::pair<int64_t, int64_t> picture_of(const ClipParts& parts) {
  if (const auto found = parts.vision.find("image_size");
      found == parts.vision.end() || found->is_null())
    return {224, 224};
  return sides_from_json(parts.vision, "image_size", parts.place, "clip");
}

const char* activation_of(const ClipParts& parts) {
  const bool quick = value_or<bool>(parts.model, "quick_gelu", false, parts.place);
  const Json more = object_in(parts.vision, "act_kwargs", parts.place);
  for (const auto& [key, value] : more.items()) {
    if (key == "approximate" && value == "tanh" && !quick) return "gelu_tanh";
    check(key == "approximate" && value == "none", "clip",
          "{}: act_kwargs {} is not supported; approximate tanh or none is", parts.place,
          shown(more));
  }
  return quick ? "quick_gelu" : "gelu";
}

const char* base_of(const ClipParts& parts) {
  const Json more = object_in(parts.vision, "norm_kwargs", parts.place);
  for (const auto& [key, value] : more.items()) {
    if (key == "eps" && value == 1e-6) return kBaseEpsilon6;
    check(key == "eps" && value == 1e-5, "clip",
          "{}: norm_kwargs {} is not supported; eps 1e-5 or 1e-6 is", parts.place, shown(more));
  }
  return kBaseEpsilon5;
}

Json timm_json(const std::string& architecture, Json arguments, Json pretrained) {
  return {{"architecture", architecture},
          {"model_args", std::move(arguments)},
          {"pretrained_cfg", std::move(pretrained)},
          {kAnswerKey, "raw"}};
}

}  // namespace

bool clip_norm_after_pooling(const Json& config) {
  const auto model = config.find("model_cfg");
  if (model == config.end() || !model->is_object()) return false;
  const auto vision = model->find("vision_cfg");
  return vision != model->end() && vision->is_object() &&
         vision->value("final_ln_after_pool", Json()) == true;
}

Json timm_config_of_clip(const Json& config, const std::string& place) {
  const ClipParts parts = clip_parts(config, place);
  const Json& v = parts.vision;
  if (v.contains("timm_model_name") && !v.at("timm_model_name").is_null())
    fail("clip", "{}: names a trunk of timm's, and the tensors have none", parts.place);
  const auto width = value_or<int64_t>(v, "width", 768, parts.place);
  const auto head = value_or<int64_t>(v, "head_width", 64, parts.place);
  check(head > 0 && width > 0 && width / head > 0, "clip",
        "{}: head_width {} does not divide a width of {}", parts.place, head, width);
  const auto pool = value_or<std::string>(v, "pool_type", "tok", parts.place);
  check(pool == "tok" || pool == "avg", "clip",
        "{}: pool_type '{}' is not supported; tok and avg are", parts.place, printable(pool));
  const auto [height, picture_width] = picture_of(parts);
  Json arguments = {
      {"img_size", sides_to_json(height, picture_width)},
      {"embed_dim", width},
      {"depth", value_or<int64_t>(v, "layers", 12, parts.place)},
      {"num_heads", width / head},
      {"mlp_ratio", value_or<double>(v, "mlp_ratio", 4.0, parts.place)},
      {"num_classes", get<int64_t>(parts.model, "embed_dim", place)},
      {"pre_norm", !value_or<bool>(v, "no_ln_pre", false, parts.place)},
      {"global_pool", pool == "avg" ? "avg" : "token"},
      {"fc_norm", clip_norm_after_pooling(config)},
      {"final_norm", true},
      {"act_layer", activation_of(parts)},
  };
  const auto patch = v.find("patch_size");
  arguments["patch_size"] = patch == v.end() || patch->is_null() ? Json(16) : *patch;
  if (const auto scale = get_optional<double>(v, "ls_init_value", parts.place))
    arguments["init_values"] = *scale;
  return timm_json(base_of(parts), std::move(arguments),
                   pretrained_of(parts.preprocess, height, picture_width, place));
}

Json timm_config_of_trunk(const Json& config, const std::string& place, TrunkNorms norms) {
  const ClipParts parts = clip_parts(config, place);
  const Json& v = parts.vision;
  std::string name = value_or<std::string>(v, "timm_model_name", "", parts.place);
  check(!name.empty(), "clip", "{}: names no timm_model_name, and the tensors have a trunk",
        parts.place);
  name = name.substr(0, name.find('.'));
  const PublishedArchitecture* published = find_published(name);
  if (published == nullptr)
    fail(
        ErrorCode::unsupported, "clip",
        "{}: timm_model_name '{}' is no plain Vision Transformer of timm's that Vitrail knows, and "
        "no other trunk is read",
        parts.place, printable(name));
  const auto pool = value_or<std::string>(v, "timm_pool", "avg", parts.place);
  Json arguments = Json::object();
  if (!pool.empty()) arguments["global_pool"] = pool;
  // reset_classifier() leaves the norm where the definition has it.
  if (published->family() == "timm") {
    arguments["fc_norm"] = norms.fc_norm;
    arguments["final_norm"] = norms.norm || norms.fc_norm;
  }
  const auto [height, width] = picture_of(parts);
  return timm_json(name, std::move(arguments),
                   pretrained_of(parts.preprocess, height, width, place));
}

Json timm_config_of_openai(const OpenAiSizes& s) {
  constexpr int64_t kHead = 64;
  Json arguments = {{"img_size", s.image},
                    {"patch_size", s.patch},
                    {"embed_dim", s.width},
                    {"depth", s.layers},
                    {"num_heads", s.width / kHead},
                    {"mlp_ratio", static_cast<double>(s.hidden) / static_cast<double>(s.width)},
                    {"num_classes", s.output},
                    {"pre_norm", true},
                    {"act_layer", "quick_gelu"}};
  return timm_json(kBaseEpsilon5, std::move(arguments),
                   pretrained_of(Json::object(), s.image, s.image, "OpenAI's CLIP"));
}

}  // namespace vitrail
