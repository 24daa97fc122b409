#include "models/families/timm/timm.h"

#include <array>

#include "core/advice.h"
#include "core/error.h"
#include "core/nearest.h"
#include "core/printable.h"
#include "formats/json.h"
#include "models/families/answer_rules.h"
#include "models/families/hf/hf.h"
#include "models/families/published.h"
#include "models/families/reading/fields.h"
#include "models/families/reading/matching.h"
#include "models/families/timm/timm_definition.h"
#include "models/families/timm/timm_form.h"

namespace vitrail {
namespace {

using C = VitConfig;

// config.json as timm's push_to_hf_hub and save_for_hf write it.
constexpr FieldRule kTop[] = {
    {"architecture"},       {"num_classes"},    {"global_pool"},
    {"model_args"},         {"pretrained_cfg"}, {"label_names"},
    {"label_descriptions"}, {"labels"},         {"num_features", FieldRule::kNumber},
    {"problem_type"},       {kAnswerKey},       {"license", FieldRule::kIdle},
};

// timm's PretrainedCfg. Sizes and crops for tests are taken by scripts that ask for them alone.
constexpr FieldRule kPretrained[] = {
    {"architecture"},
    {"input_size"},
    {"interpolation"},
    {"crop_pct"},
    {"crop_mode"},
    {"mean"},
    {"std"},
    {"num_classes"},
    {"fixed_input_size"},
    {"label_names"},
    {"label_descriptions"},
    {"label_offset", FieldRule::kOnly, "[0]"},
    {"url", FieldRule::kIdle},
    {"file", FieldRule::kIdle},
    {"state_dict", FieldRule::kIdle},
    {"hf_hub_id", FieldRule::kIdle},
    {"hf_hub_filename", FieldRule::kIdle},
    {"source", FieldRule::kIdle},
    {"tag", FieldRule::kIdle},
    {"custom_load", FieldRule::kIdle},
    {"test_input_size", FieldRule::kIdle},
    {"min_input_size", FieldRule::kIdle},
    {"test_crop_pct", FieldRule::kIdle},
    {"pool_size", FieldRule::kIdle},
    {"test_pool_size", FieldRule::kIdle},
    {"first_conv", FieldRule::kIdle},
    {"classifier", FieldRule::kIdle},
    {"license", FieldRule::kIdle},
    {"description", FieldRule::kIdle},
    {"origin_url", FieldRule::kIdle},
    {"paper_name", FieldRule::kIdle},
    {"paper_ids", FieldRule::kIdle},
    {"notes", FieldRule::kIdle},
};

// The arguments of timm's VisionTransformer.
constexpr FieldRule kArguments[] = {
    {"img_size"},
    {"patch_size"},
    {"in_chans"},
    {"num_classes"},
    {"global_pool"},
    {"embed_dim"},
    {"depth"},
    {"num_heads"},
    {"mlp_ratio"},
    {"qkv_bias"},
    {"qk_norm"},
    {"scale_attn_norm"},
    {"scale_mlp_norm"},
    {"proj_bias"},
    {"init_values"},
    {"class_token"},
    {"pos_embed"},
    {"no_embed_class"},
    {"reg_tokens"},
    {"pre_norm"},
    {"final_norm"},
    {"fc_norm"},
    {"pool_include_prefix"},
    {"norm_layer"},
    {"act_layer"},
    {"dynamic_img_size", FieldRule::kFlag},
    {"strict_img_size", FieldRule::kFlag},
    {"dynamic_img_pad", FieldRule::kOnly, "[false]"},
    {"use_naflex", FieldRule::kOnly, "[false]"},
    {"features_only", FieldRule::kOnly, "[false]"},
    {"embed_layer", FieldRule::kOnly, "[]"},
    {"embed_norm_layer"},
    {"block_fn", FieldRule::kOnly, "[]"},
    {"mlp_layer", FieldRule::kOnly, "[]"},
    {"attn_layer"},
    {"drop_rate", FieldRule::kNumber},
    {"pos_drop_rate", FieldRule::kNumber},
    {"patch_drop_rate", FieldRule::kNumber},
    {"proj_drop_rate", FieldRule::kNumber},
    {"attn_drop_rate", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
    {"weight_init", FieldRule::kIdle},
    {"fix_init", FieldRule::kIdle},
    {"device", FieldRule::kIdle},
    {"dtype", FieldRule::kIdle},
};

// Beside timm's own fields in the config of transformers' TimmWrapper.
constexpr FieldRule kWrapper[] = {
    {"do_pooling", FieldRule::kOnly, "[true]"},
    {"initializer_range", FieldRule::kNumber},
};

Json object_or_empty(const Json& holder, const char* key, const std::string& place) {
  const auto found = holder.find(key);
  if (found == holder.end() || found->is_null()) return Json::object();
  if (!found->is_object()) fail("timm", "{}: {} is not an object", place, key);
  return *found;
}

void settle_image_from(ConfigDraft& draft, const Json& pretrained, const std::string& place) {
  if (!draft.is_open("image_size")) return;
  const auto input = get_optional<std::vector<int64_t>>(pretrained, "input_size", place);
  if (!input) return;
  if (input->size() != 3 || (*input)[1] < 1 || (*input)[2] < 1)
    fail("timm", "{}: input_size takes channels, height and width", place);
  const C& c = draft.config;
  // A stored grid for another picture says more than the evaluation size.
  if ((*input)[1] % c.patches.patch_height == 0 && (*input)[2] % c.patches.patch_width == 0)
    draft.settle_image((*input)[1], (*input)[2], place);
}

// One number for each channel, as timm's loader adapts them: their mean where the numbers differ.
void adapt_to_channels(Json& block, const char* key, int64_t channels) {
  const auto found = block.find(key);
  if (found == block.end() || !found->is_array() ||
      found->size() == static_cast<size_t>(channels) || found->empty())
    return;
  double sum = 0;
  for (const Json& value : *found) {
    if (!value.is_number()) return;
    sum += value.get<double>();
  }
  *found =
      std::vector<double>(static_cast<size_t>(channels), sum / static_cast<double>(found->size()));
}

// Arguments that say an open field themselves, whatever the definition is.
void settle_arguments(ConfigDraft& draft, const Json& arguments, const std::string& place,
                      const TimmConstructor& constructor) {
  const C said = constructor.model(draft.config, arguments, place);
  const auto has = [&](const char* key) {
    const auto found = arguments.find(key);
    return found != arguments.end() && !found->is_null();
  };
  const std::string source = place + " (model_args)";
  if (has("num_heads"))
    draft.settle("num_heads", draft.config.block.attention.num_heads,
                 said.block.attention.num_heads, source);
  if (has("act_layer"))
    draft.settle("activation", draft.config.block.mlp.activation, said.block.mlp.activation,
                 source);
  if (has("norm_layer")) draft.settle("norm", draft.config.norm, said.norm, source);
  if (has("norm_layer"))
    draft.settle("layer_norm_epsilon", draft.config.layer_norm_epsilon, said.layer_norm_epsilon,
                 source);
  if (has("pos_embed"))
    draft.settle("position", draft.config.position.kind, said.position.kind, source);
  if (has("img_size")) draft.settle_image(said.image_height, said.image_width, source);
}

}  // namespace

const TimmConstructor kTimmVisionTransformer = {
    .owner = "timm's VisionTransformer", .arguments = kArguments, .model = timm_model};

// Older files have pretrained_cfg's fields at the top.
TimmConfig read_timm_parts(const Json& config, const std::string& place,
                           const FieldList& arguments) {
  TimmConfig parts{.architecture = timm_architecture_of(config),
                   .arguments = object_or_empty(config, "model_args", place),
                   .pretrained = object_or_empty(config, "pretrained_cfg", place)};
  std::vector<std::span<const FieldRule>> top = {kTop};
  if (!config.contains("pretrained_cfg")) {
    top.emplace_back(kPretrained);
    parts.pretrained = config;
  } else {
    check_timm_pretrained(parts.pretrained, place + "'s pretrained_cfg");
  }
  if (config.value("model_type", Json()) == "timm_wrapper") {
    top.emplace_back(kWrapper);
    top.push_back(pretrained_config_fields());
  }
  check_fields(config, {place, "timm's configuration", top});
  check_fields(parts.arguments, arguments);
  // Of an export without arguments these say how the model was made.
  for (const char* key : {"global_pool", "num_classes"})
    if (const auto found = config.find(key);
        !parts.arguments.contains(key) && found != config.end() && !found->is_null())
      parts.arguments[key] = *found;
  return parts;
}

void settle_timm_answer(ReadingDraft& draft, const Json& config, const std::string& place) {
  if (draft.class_answer().classes == 0) return;
  if (const auto own = answer_of_own_word(config, kAnswerKey, place))
    return settle_answer(draft, *own, place + " (" + kAnswerKey + ")");
  if (const auto meaning = answer_of_problem_type(config, place))
    settle_answer(draft, *meaning, place + " (problem_type)");
}

void check_timm_pretrained(const Json& pretrained, const std::string& place) {
  const std::array<std::span<const FieldRule>, 1> fields = {kPretrained};
  check_fields(pretrained, {place, "timm's PretrainedCfg", fields});
}

// What timm reads of pretrained_cfg beside model_args that say more.
void add_timm_preprocess(ReadingDraft& draft, const TimmPictures& said) {
  const std::string& place = said.place;
  Json block = said.pretrained;
  for (const char* needed : {"mean", "std"})
    if (const auto found = block.find(needed); found == block.end() || found->is_null()) return;
  const PictureInput& pictures = said.pictures;
  std::vector<int64_t> input = {pictures.channels, 224, 224};
  if (const auto size = get_optional<std::vector<int64_t>>(block, "input_size", place);
      size && size->size() == 3)
    input = {pictures.channels, (*size)[1], (*size)[2]};
  const bool any_size = said.arguments.value("dynamic_img_size", Json()) == true ||
                        said.arguments.value("strict_img_size", Json()) == false;
  const bool fixed = get_optional<bool>(block, "fixed_input_size", place).value_or(false);
  if (fixed && !any_size && said.arguments.contains("img_size"))
    input = {pictures.channels, pictures.height, pictures.width};
  block["input_size"] = input;
  adapt_to_channels(block, "mean", pictures.channels);
  adapt_to_channels(block, "std", pictures.channels);
  std::string defaults;
  for (const char* key : {"interpolation", "crop_pct"})
    if (!block.contains(key)) defaults += (defaults.empty() ? "" : " and ") + std::string(key);
  draft.add_preprocess(
      PreprocessKind::timm, std::move(block),
      place + (defaults.empty() ? "" : fmt::format(" (timm's default {})", defaults)));
}

void settle_from_timm(ConfigDraft& draft, const Json& config, const std::string& place,
                      const TimmConstructor& constructor) {
  const std::array<std::span<const FieldRule>, 1> arguments = {constructor.arguments};
  TimmConfig parts =
      read_timm_parts(config, place, {place + "'s model_args", constructor.owner, arguments});
  const bool said = !draft.architecture_said.empty();
  const std::string& name = said ? draft.architecture_said : parts.architecture;
  const PublishedArchitecture* published = find_published(name);
  if (published == nullptr) {
    std::vector<std::string> known;
    for (const PublishedArchitecture& each : published_architectures())
      known.emplace_back(each.name);
    fail("family", "'{}' is not an architecture that Vitrail knows by name{}", printable(name),
         did_you_mean(name, known));
  }
  // There they are where its norms start.
  if (published->flags & PublishedArchitecture::kResPost) parts.arguments.erase("init_values");
  check_arguments(draft, parts.arguments, place, constructor);
  settle_arguments(draft, parts.arguments, place, constructor);
  C definition = published_config(*published);
  // mlp_layer is a class, which no JSON holds: where model_args say the rest, tensors say this.
  if (!parts.arguments.value("mlp_ratio", Json()).is_null())
    definition.block.mlp.kind = draft.config.block.mlp.kind;
  C model = constructor.model(definition, parts.arguments, place);
  if (constructor.ends_by_tensors) {
    model.block.mlp.hidden = draft.config.block.mlp.hidden;
    model.final_norm = draft.config.final_norm;
    model.head.norm = draft.config.head.norm;
  }
  const std::string found = difference(draft, model);
  if (found.empty()) {
    settle_from_model(
        draft, model,
        fmt::format("{} (timm's {})",
                    said ? vitrail::said(Option::settings, "architecture") : place, name));
  } else if (said) {
    fail("family", "{} has {}", said_setting("architecture", name), found);
  } else {
    draft.unsettled = fmt::format("{} says architecture '{}', which has {}", place, name, found);
    if (parts.arguments.contains("global_pool"))
      draft.settle("pooling", draft.config.head.pooling, model.head.pooling, place);
    if (model.block.norms == NormPlacement::pre)
      draft.settle("norm_placement", draft.config.block.norms, model.block.norms, place);
  }
  settle_image_from(draft, parts.pretrained, place);
  add_timm_preprocess(draft, {draft.config.pictures(), parts.pretrained, parts.arguments, place});
  settle_timm_answer(draft, config, place);
}

}  // namespace vitrail
