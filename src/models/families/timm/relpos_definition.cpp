// timm's VisionTransformerRelPos: the arguments of its constructor and the model that it makes of
// them.
#include "core/error.h"
#include "models/families/timm/timm_constructor.h"
#include "models/families/timm/timm_definition.h"
#include "models/field_ranges.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr FieldRule kRelPosArguments[] = {
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
    {"init_values"},
    {"class_token"},
    {"fc_norm"},
    {"rel_pos_type"},
    {"rel_pos_dim"},
    {"shared_rel_pos"},
    {"drop_rate", FieldRule::kNumber},
    {"proj_drop_rate", FieldRule::kNumber},
    {"attn_drop_rate", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
    {"weight_init", FieldRule::kIdle},
    {"fix_init", FieldRule::kIdle},
    {"embed_layer", FieldRule::kOnly, "[]"},
    {"norm_layer", FieldRule::kOnly, "[]"},
    {"act_layer", FieldRule::kOnly, "[]"},
    {"block_fn", FieldRule::kOnly, "[]"},
    {"features_only", FieldRule::kOnly, "[false]"},
    {"device", FieldRule::kIdle},
    {"dtype", FieldRule::kIdle},
};

RelativePosition kind_of(const std::string& type, const std::string& place) {
  if (type == "mlp") return RelativePosition::mlp;
  if (type == "mlp_swin" || type == "mlp-swin") return RelativePosition::mlp_swin;
  if (type == "bias") return RelativePosition::table;
  fail("timm", "{}: rel_pos_type {} is not supported; mlp, mlp_swin and bias are", place,
       shown(type));
}

void set_relative(C& model, const TimmArguments& args) {
  const RelativeConfig before = model.relative;
  bool shared = before.shared != RelativePosition::none;
  RelativePosition kind = shared ? before.shared : before.per_block;
  args.read("shared_rel_pos", shared);
  if (args.has("rel_pos_type")) kind = kind_of(args.text("rel_pos_type"), args.place());
  model.relative.per_block = shared ? RelativePosition::none : kind;
  model.relative.shared = shared ? kind : RelativePosition::none;
  args.read("rel_pos_dim", model.relative.network.hidden_dim);
  check_field_range("relative_position_hidden_dim", model.relative.network.hidden_dim);
}

C relpos_model(const C& definition, const Json& arguments, const std::string& place) {
  C model = definition;
  const TimmArguments args(arguments, place);
  read_timm_sizes(args, model);
  model.block.mlp.hidden = timm_mlp_hidden(args, model.embed_dim, definition);
  args.read("qkv_bias", model.block.attention.qkv_bias);
  args.read("qk_norm", model.block.attention.qk_norm);
  // Zero is none. A block with norms behind its branches starts those with init_values instead.
  double init_values = model.block.layer_scale ? 1 : 0;
  args.read("init_values", init_values);
  model.block.layer_scale = init_values != 0 && model.block.norms == NormPlacement::pre;
  args.read("class_token", model.tokens.class_token);
  model.position.prefix = 0;
  set_relative(model, args);
  std::string pool = model.head.pooling == Pooling::class_token ? "token" : "avg";
  args.read("global_pool", pool);
  model.head.pooling = timm_pooling(model, pool, false, place);
  args.read("fc_norm", model.head.norm);
  model.final_norm = !model.head.norm;
  return model;
}

}  // namespace

const TimmConstructor kTimmRelPos = {.owner = "timm's VisionTransformerRelPos",
                                     .arguments = kRelPosArguments,
                                     .model = relpos_model};

}  // namespace vitrail
