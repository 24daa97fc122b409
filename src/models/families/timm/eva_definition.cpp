// timm's Eva: the arguments of its constructor and the model that it makes of them.
#include <array>
#include <cmath>

#include "core/error.h"
#include "models/families/timm/timm_constructor.h"
#include "models/families/timm/timm_definition.h"
#include "models/field_ranges.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr FieldRule kEvaArguments[] = {
    {"img_size"},
    {"patch_size"},
    {"in_chans"},
    {"num_classes"},
    {"global_pool"},
    {"embed_dim"},
    {"depth"},
    {"num_heads"},
    {"num_kv_heads", FieldRule::kOnly, "[]"},
    {"qkv_bias"},
    {"qkv_fused", FieldRule::kFlag},  // the names of the tensors say it
    {"qk_norm"},
    {"mlp_ratio"},
    {"swiglu_mlp"},
    {"swiglu_align_to"},
    {"scale_mlp"},
    {"scale_attn_inner"},
    {"attn_type"},
    {"drop_rate", FieldRule::kNumber},
    {"pos_drop_rate", FieldRule::kNumber},
    {"patch_drop_rate", FieldRule::kNumber},
    {"proj_drop_rate", FieldRule::kNumber},
    {"attn_drop_rate", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
    {"norm_layer", FieldRule::kOnly, "[]"},
    {"init_values"},
    {"attn_only_layer_scale", FieldRule::kOnly, "[false]"},
    {"class_token"},
    {"num_reg_tokens"},
    {"no_embed_class"},
    {"use_abs_pos_emb"},
    {"use_rot_pos_emb"},
    {"rope_type"},
    {"rope_grid_offset"},
    {"rope_grid_indexing"},
    {"rope_temperature"},
    {"rope_rotate_half"},
    {"rope_shift_coords", FieldRule::kNumber},    // in training alone
    {"rope_jitter_coords", FieldRule::kNumber},   // likewise
    {"rope_rescale_coords", FieldRule::kNumber},  // likewise
    {"rope_mrope_section", FieldRule::kOnly, "[]"},
    {"use_post_norm"},
    {"use_pre_transformer_norm"},
    {"use_post_transformer_norm"},
    {"use_fc_norm"},
    {"attn_pool_num_heads"},
    {"attn_pool_mlp_ratio"},
    {"dynamic_img_size", FieldRule::kFlag},
    {"dynamic_img_pad", FieldRule::kOnly, "[false]"},
    {"ref_feat_shape"},
    {"head_init_scale", FieldRule::kNumber},
    {"use_naflex", FieldRule::kOnly, "[false]"},
    {"features_only", FieldRule::kOnly, "[false]"},
    {"device", FieldRule::kIdle},
    {"dtype", FieldRule::kIdle},
};

std::string one_of(const TimmArguments& args, const char* key, std::string fallback,
                   std::span<const std::string_view> known) {
  args.read(key, fallback);
  std::string list;
  for (const std::string_view word : known) {
    if (word == fallback) return fallback;
    list += (list.empty() ? "" : ", ") + std::string(word);
  }
  fail("timm", "{}: {} {} is not supported; {} are", args.place(), key, shown(fallback), list);
}

// Which of timm's rotary embeddings the settings are of.
std::string rope_type(const RotaryConfig& rotary) {
  if (rotary.kind == Rotary::mixed) return "mixed";
  return rotary.coordinates == RotaryCoordinates::centred ? "dinov3" : "cat";
}

void set_eva_rotary(C& model, const TimmArguments& args) {
  constexpr std::array<std::string_view, 3> kTypes = {"cat", "mixed", "dinov3"};
  constexpr std::array<std::string_view, 2> kIndexings = {"ij", "xy"};
  bool present = model.rotary.kind != Rotary::none;
  args.read("use_rot_pos_emb", present);
  const std::string type = one_of(args, "rope_type", rope_type(model.rotary), kTypes);
  RotaryConfig rotary = model.rotary;
  args.read("rope_temperature", rotary.base);
  rotary.column_first =
      one_of(args, "rope_grid_indexing", rotary.column_first ? "xy" : "ij", kIndexings) == "xy";
  bool half = !rotary.interleaved;
  args.read("rope_rotate_half", half);
  rotary.interleaved = !half;
  args.read("rope_grid_offset", rotary.offset);
  args.read_sides("ref_feat_shape", rotary.reference_height, rotary.reference_width);
  check_field_range("rotary_reference_height", rotary.reference_height);
  check_field_range("rotary_reference_width", rotary.reference_width);
  rotary.kind = type == "mixed" ? Rotary::mixed : Rotary::axial;
  rotary.coordinates = type == "dinov3" ? RotaryCoordinates::centred : RotaryCoordinates::index;
  // timm's two others take no reference, and the mixed one no offset.
  if (type != "cat") rotary.reference_height = rotary.reference_width = 0;
  if (type == "mixed") {
    check(rotary.interleaved, "timm", "{}: rope_type mixed goes with no rope_rotate_half",
          args.place());
    rotary.offset = 0;
  }
  model.rotary = present ? rotary : RotaryConfig();
}

void set_eva_mlp(C& model, const TimmArguments& args, const C& definition) {
  bool gated = model.block.mlp.kind != MlpKind::plain;
  int64_t align = 0;
  args.read("swiglu_mlp", gated);
  args.read("scale_mlp", model.block.mlp.hidden_norm);
  args.read("swiglu_align_to", align);
  model.block.mlp.hidden = timm_mlp_hidden(args, model.embed_dim, definition);
  model.block.mlp.activation = gated ? Activation::silu : Activation::gelu;
  if (!gated) {
    model.block.mlp.kind = MlpKind::plain;
    return;
  }
  // Aligned or with a norm it has matrices of its own for the two halves.
  const bool aligned = align > 0 && model.block.norms == NormPlacement::pre;
  const bool said = args.has("swiglu_mlp") || args.has("swiglu_align_to") || args.has("scale_mlp");
  if (said || definition.block.mlp.kind == MlpKind::plain)
    model.block.mlp.kind =
        model.block.mlp.hidden_norm || aligned ? MlpKind::gated_split : MlpKind::gated_packed;
  if (aligned) model.block.mlp.hidden += (align - model.block.mlp.hidden % align) % align;
}

void set_eva_end(C& model, const TimmArguments& args, const C& definition) {
  std::string pool = is_map(model.head.pooling)                   ? "map"
                     : model.head.pooling == Pooling::class_token ? "token"
                                                                  : "avg";
  args.read("global_pool", pool);
  // Attention pooling reads every token.
  model.head.pooling = timm_pooling(model, pool, pool == "map", args.place());
  if (args.has("global_pool")) {
    model.head.norm = pool == "avg";
    model.final_norm = !model.head.norm;
  }
  if (args.has("use_fc_norm")) {
    args.read("use_fc_norm", model.head.norm);
    model.final_norm = !model.head.norm;
  }
  args.read("use_post_transformer_norm", model.final_norm);
  args.read("attn_pool_num_heads", model.head.map.num_heads);
  check_field_range("pool_heads", model.head.map.num_heads);
  if (!is_map(model.head.pooling)) {
    model.head.map.num_heads = model.head.map.mlp_hidden_dim = 0;
    return;
  }
  // The definition's own ratio, or that of the blocks.
  const bool own = definition.head.map.mlp_hidden_dim > 0;
  double ratio =
      static_cast<double>(own ? definition.head.map.mlp_hidden_dim : definition.mlp_hidden()) /
      static_cast<double>(definition.embed_dim);
  if (!own) args.read("mlp_ratio", ratio);
  args.read("attn_pool_mlp_ratio", ratio);
  model.head.map.mlp_hidden_dim = timm_width(model.embed_dim, ratio);
  check_field_range("pool_mlp_hidden_dim", model.head.map.mlp_hidden_dim);
}

C eva_model(const C& definition, const Json& arguments, const std::string& place) {
  constexpr std::array<std::string_view, 2> kAttentions = {"eva", "rope"};
  C model = definition;
  const TimmArguments args(arguments, place);
  read_timm_sizes(args, model);
  args.read("qkv_bias", model.block.attention.qkv_bias);
  model.block.attention.key_bias =
      one_of(args, "attn_type", model.block.attention.key_bias ? "rope" : "eva", kAttentions) ==
      "rope";
  args.read("qk_norm", model.block.attention.qk_norm);
  args.read("scale_attn_inner", model.block.attention.output_norm);
  bool post_norm = model.block.norms == NormPlacement::res_post;
  args.read("use_post_norm", post_norm);
  model.block.norms = post_norm ? NormPlacement::res_post : NormPlacement::pre;
  model.block.layer_scale = !post_norm && (model.block.layer_scale || args.has("init_values"));
  set_eva_mlp(model, args, definition);
  args.read("class_token", model.tokens.class_token);
  args.read("num_reg_tokens", model.tokens.register_tokens);
  check_field_range("register_tokens", model.tokens.register_tokens);
  bool patches_alone = definition.prefix_tokens() > 0 && definition.position.prefix == 0 &&
                       definition.position.kind == Position::learned;
  args.read("no_embed_class", patches_alone);
  bool absolute = model.position.kind == Position::learned;
  args.read("use_abs_pos_emb", absolute);
  model.position.kind = absolute ? Position::learned : Position::none;
  model.position.prefix = patches_alone || !absolute ? 0 : model.prefix_tokens();
  set_eva_rotary(model, args);
  args.read("use_pre_transformer_norm", model.pre_norm);
  model.patches.bias = !model.pre_norm;
  set_eva_end(model, args, definition);
  return model;
}

}  // namespace

const TimmConstructor kTimmEva = {
    .owner = "timm's Eva", .arguments = kEvaArguments, .model = eva_model, .ends_by_tensors = true};

}  // namespace vitrail
