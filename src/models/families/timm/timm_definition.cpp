#include "models/families/timm/timm_definition.h"

#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "core/error.h"
#include "models/families/reading/fields.h"
#include "models/families/reading/matching.h"
#include "models/families/timm/timm_constructor.h"
#include "models/families/writing/activation_name.h"
#include "models/field_ranges.h"

namespace vitrail {
namespace {

using C = VitConfig;

// timm's name of a layer, as its factories read it.
std::string lowered(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

// The first of several names is the one that is written.
constexpr std::array<std::pair<const char*, Activation>, 6> kTimmActivations = {
    {{"gelu", Activation::gelu},
     {"gelu_tanh", Activation::gelu_tanh},
     {"quick_gelu", Activation::quick_gelu},
     {"relu", Activation::relu},
     {"silu", Activation::silu},
     {"swish", Activation::silu}}};

Activation timm_activation(const std::string& name, const std::string& place) {
  for (const auto& [text, value] : kTimmActivations)
    if (lowered(name) == text) return value;
  fail("timm", "{}: act_layer {} is not supported; gelu, gelu_tanh, quick_gelu, relu and silu are",
       place, shown(name));
}

NormKind timm_norm(const char* key, const std::string& name, const std::string& place) {
  std::string plain;
  for (const char c : lowered(name))
    if (c != '_') plain += c;
  if (plain == "layernorm") return NormKind::layer;
  if (plain == "rmsnorm") return NormKind::root_mean_square;
  fail("timm", "{}: {} {} is not supported; layernorm and rmsnorm are", place, key, shown(name));
}

bool is_differential(const TimmArguments& args, const std::string& place) {
  const std::string name = args.text("attn_layer");
  if (name == "diff") return true;
  if (name.empty() || name == "attn") return false;
  fail("timm", "{}: attn_layer {} is not supported; attn and diff are", place, shown(name));
}

void set_norm(C& model, const TimmArguments& args, const std::string& place) {
  if (args.has("norm_layer")) {
    model.norm = timm_norm("norm_layer", args.text("norm_layer"), place);
    model.layer_norm_epsilon = 1e-6;  // of timm's LayerNorm and RmsNorm
  }
  if (!args.has("embed_norm_layer")) return;
  const NormKind kind = timm_norm("embed_norm_layer", args.text("embed_norm_layer"), place);
  if (kind != model.norm)
    fail("timm", "{}: embed_norm_layer and norm_layer are not the same, as Vitrail's are", place);
  model.patches.output_norm = true;
}

// Where the final norm stands follows from the pooling, unless fc_norm says so.
void set_pooling(C& model, const TimmArguments& arguments, const std::string& place) {
  const bool averaged =
      model.head.pooling == Pooling::mean || model.head.pooling == Pooling::mean_all;
  // A definition that averages and has no fc_norm says so itself.
  bool normed = model.final_norm || model.head.norm;
  const bool never_after = averaged && !model.head.norm;
  bool include = model.head.pooling == Pooling::mean_all || model.head.pooling == Pooling::map_all;
  arguments.read("pool_include_prefix", include);
  std::string pool = averaged ? "avg" : is_map(model.head.pooling) ? "map" : "token";
  arguments.read("global_pool", pool);
  model.head.pooling = timm_pooling(model, pool, include, place);
  bool after = pool == "avg" && !never_after;
  arguments.read("fc_norm", after);
  arguments.read("final_norm", normed);
  model.head.norm = normed && after;
  model.final_norm = normed && !after;
}

void set_mlp(C& model, const TimmArguments& arguments, const C& definition) {
  const int64_t parts = model.block.mlp.kind == MlpKind::gated_packed ? 2 : 1;
  double ratio = static_cast<double>(parts * definition.mlp_hidden()) /
                 static_cast<double>(definition.embed_dim);
  arguments.read("mlp_ratio", ratio);
  model.block.mlp.hidden = timm_width(model.embed_dim, ratio) / parts;
  check_field_range("mlp_hidden_dim", model.block.mlp.hidden);
}

}  // namespace

int64_t timm_width(int64_t embed_dim, double ratio) {
  const double hidden = static_cast<double>(embed_dim) * ratio;
  constexpr double kMost = 1e9;  // no integer of a field's range is larger
  return static_cast<int64_t>(hidden >= 0 && hidden <= kMost ? hidden : kMost);
}

int64_t timm_mlp_hidden(const TimmArguments& args, int64_t embed_dim, const C& definition) {
  double ratio =
      static_cast<double>(definition.mlp_hidden()) / static_cast<double>(definition.embed_dim);
  args.read("mlp_ratio", ratio);
  const int64_t hidden = timm_width(embed_dim, ratio);
  check_field_range("mlp_hidden_dim", hidden);
  return hidden;
}

void read_timm_sizes(const TimmArguments& args, C& model) {
  args.read("embed_dim", model.embed_dim);
  args.read("depth", model.depth);
  args.read("num_heads", model.block.attention.num_heads);
  args.read("in_chans", model.in_channels);
  args.read("num_classes", model.num_classes);
  args.read_sides("patch_size", model.patches.patch_height, model.patches.patch_width);
  args.read_sides("img_size", model.image_height, model.image_width);
  for (const auto& [field, value] : {std::pair{"embed_dim", model.embed_dim},
                                     {"depth", model.depth},
                                     {"num_heads", model.block.attention.num_heads},
                                     {"in_channels", model.in_channels},
                                     {"num_classes", model.num_classes},
                                     {"patch_height", model.patches.patch_height},
                                     {"patch_width", model.patches.patch_width},
                                     {"image_height", model.image_height},
                                     {"image_width", model.image_width}})
    check_field_range(field, value);
}

Pooling timm_pooling(const C& model, const std::string& global_pool, bool include_prefix,
                     const std::string& place) {
  if (global_pool == "token")
    return model.tokens.distillation_token ? Pooling::distilled : Pooling::class_token;
  if (global_pool == "avg") return include_prefix ? Pooling::mean_all : Pooling::mean;
  if (global_pool == "map")
    return include_prefix && model.prefix_tokens() > 0 ? Pooling::map_all : Pooling::map;
  fail("timm", "{}: global_pool {} is not supported; token, avg and map are", place,
       shown(global_pool));
}

VitConfig timm_model(const VitConfig& definition, const Json& arguments, const std::string& place) {
  C model = definition;
  const TimmArguments args(arguments, place);
  read_timm_sizes(args, model);
  set_mlp(model, args, definition);
  args.read("qkv_bias", model.block.attention.qkv_bias);
  args.read("qk_norm", model.block.attention.qk_norm);
  args.read("scale_attn_norm", model.block.attention.output_norm);
  args.read("scale_mlp_norm", model.block.mlp.hidden_norm);
  args.read("proj_bias", model.block.attention.projection_bias);
  // fc1 of a parallel block has a bias in any case, beside that of q, k and v.
  const bool parallel = model.block.norms == NormPlacement::parallel;
  model.block.mlp.bias = model.block.attention.projection_bias || parallel;
  model.block.mlp.output_bias =
      !model.block.mlp.bias || !parallel ||
      (model.block.attention.projection_bias && !model.block.attention.differential);
  // Zero is none. A ResPostBlock starts its norms with init_values instead.
  double init_values = model.block.layer_scale ? 1 : 0;
  args.read("init_values", init_values);
  // A parallel block has a scale that begins at zero, too.
  if (model.block.norms == NormPlacement::parallel)
    model.block.layer_scale = model.block.layer_scale || args.has("init_values");
  else
    model.block.layer_scale = init_values != 0 && model.block.norms == NormPlacement::pre;
  if (args.has("attn_layer")) model.block.attention.differential = is_differential(args, place);
  args.read("class_token", model.tokens.class_token);
  args.read("reg_tokens", model.tokens.register_tokens);
  check_field_range("register_tokens", model.tokens.register_tokens);
  bool patches_alone = definition.prefix_tokens() > 0 && definition.position.prefix == 0;
  args.read("no_embed_class", patches_alone);
  model.position.prefix = patches_alone ? 0 : model.prefix_tokens();
  if (args.has("pos_embed") && args.text("pos_embed") != "learn")
    model.position.kind = Position::none;
  args.read("pre_norm", model.pre_norm);
  model.patches.bias = !model.pre_norm;
  set_pooling(model, args, place);
  if (args.has("act_layer"))
    model.block.mlp.activation = timm_activation(args.text("act_layer"), place);
  set_norm(model, args, place);
  return model;
}

void check_arguments(const ConfigDraft& draft, const Json& arguments, const std::string& place,
                     const TimmConstructor& constructor) {
  // The tensors' own model, changed by the arguments, must stay as it is. Where its norm stands
  // follows from more than the arguments.
  const C& c = draft.config;
  Json plain = arguments;
  for (const char* key : {"global_pool", "fc_norm", "final_norm", "pool_include_prefix"})
    plain.erase(key);
  C model = constructor.model(c, plain, place);
  model.head.pooling = c.head.pooling;
  model.final_norm = c.final_norm;
  model.head.norm = c.head.norm;
  if (constructor.ends_by_tensors || !TimmArguments(arguments, place).has("mlp_ratio"))
    model.block.mlp.hidden = c.block.mlp.hidden;
  const std::string found = difference(draft, model);
  if (!found.empty()) fail("timm", "{}: says {}", place, found);
  const auto agree = [&](const char* key, int64_t there) {
    const auto value = get_optional<int64_t>(arguments, key, place);
    if (value && *value != there)
      fail("timm", "{}: says {} {}, and the tensors have {}", place, key, *value, there);
  };
  agree("num_classes", c.num_classes);
  agree("in_chans", c.in_channels);
}

const char* timm_activation_name(Activation activation) {
  return activation_name(kTimmActivations, activation, "timm");
}

}  // namespace vitrail
