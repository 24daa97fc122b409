#include <array>
#include <cmath>

#include "core/error.h"
#include "formats/json.h"
#include "models/families/draft.h"
#include "models/families/published.h"

namespace vitrail {
namespace {

using C = VisionTransformerConfig;

Activation activation_of(const std::string& name, const std::string& place) {
  static constexpr std::array<std::pair<const char*, Activation>, 7> kNames = {
      {{"gelu", Activation::gelu},
       {"gelu_erf", Activation::gelu},
       {"gelu_tanh", Activation::gelu_tanh},
       {"quick_gelu", Activation::quick_gelu},
       {"relu", Activation::relu},
       {"silu", Activation::silu},
       {"swish", Activation::silu}}};
  for (const auto& [text, value] : kNames)
    if (name == text) return value;
  fail("timm",
       "{}: act_layer '{}' is not supported; gelu, gelu_tanh, quick_gelu, relu and silu are", place,
       name.substr(0, 40));
}

// An int or a pair of them.
std::pair<int64_t, int64_t> sides(const Json& object, const char* key, const std::string& place) {
  if (object.at(key).is_array()) {
    const auto pair = get<std::vector<int64_t>>(object, key, place);
    if (pair.size() == 2) return {pair[0], pair[1]};
    fail("timm", "{}: {} takes one number or two", place, key);
  }
  const auto side = get<int64_t>(object, key, place);
  return {side, side};
}

// Arguments that shapes decide already, that only training reads, or that change no answer.
bool needs_no_reading(const std::string& key) {
  static constexpr const char* kKeys[] = {
      "num_classes",    "embed_dim",       "depth",          "mlp_ratio",      "qkv_bias",
      "qk_norm",        "scale_attn_norm", "scale_mlp_norm", "proj_bias",      "init_values",
      "class_token",    "pos_embed",       "no_embed_class", "reg_tokens",     "pre_norm",
      "final_norm",     "fc_norm",         "in_chans",       "patch_size",     "dynamic_img_size",
      "weight_init",    "fix_init",        "drop_rate",      "pos_drop_rate",  "patch_drop_rate",
      "proj_drop_rate", "attn_drop_rate",  "drop_path_rate", "strict_img_size"};
  for (const char* known : kKeys)
    if (key == known) return true;
  return false;
}

Pooling pooling_of(const std::string& name, bool include_prefix, bool distilled,
                   const std::string& place) {
  if (name == "token") return distilled ? Pooling::distilled : Pooling::class_token;
  if (name == "avg") return include_prefix ? Pooling::mean_all : Pooling::mean;
  if (name == "map") return Pooling::map;
  fail("timm", "{}: global_pool '{}' is not supported; token, avg and map are", place,
       name.substr(0, 40));
}

void settle_arguments(ConfigDraft& draft, const Json& arguments, const std::string& place) {
  for (const auto& [key, value] : arguments.items()) {
    if (value.is_null() || needs_no_reading(key)) continue;
    if (key == "num_heads") {
      draft.settle("num_heads", &C::num_heads, get<int64_t>(arguments, key, place), place);
    } else if (key == "act_layer") {
      draft.settle("activation", &C::activation,
                   activation_of(get<std::string>(arguments, key, place), place), place);
    } else if (key == "img_size") {
      const auto [height, width] = sides(arguments, "img_size", place);
      draft.settle_image(height, width, place);
    } else if (key == "norm_layer") {
      const auto name = get<std::string>(arguments, key, place);
      if (name != "layernorm")
        fail("timm", "{}: norm_layer '{}' is not supported; layernorm is", place,
             name.substr(0, 40));
      draft.settle("layer_norm_epsilon", &C::layer_norm_epsilon, 1e-6, place);
    } else if (key != "global_pool" && key != "pool_include_prefix") {
      fail("timm", "{}: model_args has '{}', which is not supported", place, key.substr(0, 60));
    }
  }
}

void settle_image_from(ConfigDraft& draft, const Json& pretrained, const std::string& place) {
  if (!draft.is_open("image_size")) return;
  const auto input = get_optional<std::vector<int64_t>>(pretrained, "input_size", place);
  if (!input) return;
  if (input->size() != 3 || (*input)[1] < 1 || (*input)[2] < 1)
    fail("timm", "{}: input_size takes channels, height and width", place);
  const C& c = draft.config;
  // A stored grid for another picture says more than the evaluation size.
  if ((*input)[1] % c.patch_height == 0 && (*input)[2] % c.patch_width == 0)
    draft.settle_image((*input)[1], (*input)[2], place);
}

}  // namespace

void settle_from_timm(ConfigDraft& draft, const Json& config, const std::string& place) {
  if (!config.is_object()) fail("timm", "{}: is not an object", place);
  const auto nested = config.find("pretrained_cfg");
  const Json& pretrained = nested != config.end() && nested->is_object() ? *nested : config;
  Json arguments = Json::object();
  if (const auto found = config.find("model_args"); found != config.end() && !found->is_null()) {
    if (!found->is_object()) fail("timm", "{}: model_args is not an object", place);
    arguments = *found;
  }
  auto architecture = get_optional<std::string>(config, "architecture", place);
  if (!architecture) architecture = get_optional<std::string>(pretrained, "architecture", place);
  if (architecture) architecture = architecture->substr(0, architecture->find('.'));  // no tag
  const PublishedArchitecture* published = architecture ? find_published(*architecture) : nullptr;

  // model_args first: they override what the architecture's name stands for.
  auto pool = get_optional<std::string>(arguments, "global_pool", place);
  if (!pool) pool = get_optional<std::string>(config, "global_pool", place);
  if (pool) {
    const auto include = get_optional<bool>(arguments, "pool_include_prefix", place);
    const bool published_include = published && published->pooling == Pooling::mean_all;
    draft.settle("pooling", &C::pooling,
                 pooling_of(*pool, include.value_or(published_include),
                            draft.config.distillation_token, place),
                 place);
  }
  settle_arguments(draft, arguments, place);
  settle_image_from(draft, pretrained, place);
  if (pretrained.contains("mean") || pretrained.contains("input_size"))
    draft.add_preprocess(PreprocessKind::timm, pretrained, place);
  if (published != nullptr) {
    settle_from_architecture(draft, *architecture, place + " (" + *architecture + ")");
  } else if (architecture) {
    draft.config.architecture = *architecture;
  }
}

}  // namespace vitrail
