// timm's Beit: the arguments of its constructor and the model that it makes of them.
#include "models/families/timm/timm_constructor.h"
#include "models/families/timm/timm_definition.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr FieldRule kBeitArguments[] = {
    {"img_size"},
    {"patch_size"},
    {"in_chans"},
    {"num_classes"},
    {"global_pool"},
    {"embed_dim"},
    {"depth"},
    {"num_heads"},
    {"qkv_bias"},
    {"mlp_ratio"},
    {"swiglu_mlp"},
    {"scale_mlp"},
    {"drop_rate", FieldRule::kNumber},
    {"pos_drop_rate", FieldRule::kNumber},
    {"proj_drop_rate", FieldRule::kNumber},
    {"attn_drop_rate", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
    {"norm_layer", FieldRule::kOnly, "[]"},
    {"init_values"},
    {"use_abs_pos_emb"},
    {"use_rel_pos_bias"},
    {"use_shared_rel_pos_bias"},
    {"head_init_scale", FieldRule::kNumber},
    {"use_fc_norm"},
    {"features_only", FieldRule::kOnly, "[false]"},
    {"device", FieldRule::kIdle},
    {"dtype", FieldRule::kIdle},
};

RelativePosition table_if(const TimmArguments& args, const char* key, RelativePosition had) {
  bool present = had != RelativePosition::none;
  args.read(key, present);
  return present ? RelativePosition::table : RelativePosition::none;
}

C beit_model(const C& definition, const Json& arguments, const std::string& place) {
  C model = definition;
  const TimmArguments args(arguments, place);
  read_timm_sizes(args, model);
  args.read("qkv_bias", model.block.attention.qkv_bias);
  bool gated = model.block.mlp.kind != MlpKind::plain;
  args.read("swiglu_mlp", gated);
  model.block.mlp.kind = gated ? MlpKind::gated_split : MlpKind::plain;
  model.block.mlp.activation = gated ? Activation::silu : Activation::gelu;
  args.read("scale_mlp", model.block.mlp.hidden_norm);
  model.block.mlp.hidden = timm_mlp_hidden(args, model.embed_dim, definition);
  double init_values = model.block.layer_scale ? 1 : 0;  // zero is none
  args.read("init_values", init_values);
  model.block.layer_scale = init_values != 0;
  bool absolute = model.position.kind == Position::learned;
  args.read("use_abs_pos_emb", absolute);
  model.position.kind = absolute ? Position::learned : Position::none;
  model.position.prefix = absolute ? 1 : 0;
  model.relative.per_block = table_if(args, "use_rel_pos_bias", model.relative.per_block);
  model.relative.shared = table_if(args, "use_shared_rel_pos_bias", model.relative.shared);
  std::string pool = model.head.pooling == Pooling::class_token ? "token" : "avg";
  args.read("global_pool", pool);
  model.head.pooling = timm_pooling(model, pool, false, place);
  if (args.has("global_pool")) model.head.norm = pool == "avg";
  args.read("use_fc_norm", model.head.norm);
  model.final_norm = !model.head.norm;
  return model;
}

}  // namespace

const TimmConstructor kTimmBeit = {.owner = "timm's Beit",
                                   .arguments = kBeitArguments,
                                   .model = beit_model,
                                   .ends_by_tensors = true};

}  // namespace vitrail
