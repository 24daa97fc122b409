// timm's VisionTransformerRelPos: relative positions by a small network or a table, of each block
// or of all.
#include "models/families/published.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_variant.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr NameRow kRelPosRows[] = {
    {"blocks.#.attn.relative_position_bias_table",
     {"@blocks.#.attn.rel_pos.relative_position_bias_table"}},
    {"rel_pos_bias.relative_position_bias_table", {"@shared_rel_pos.relative_position_bias_table"}},
};

constexpr Expressible kRelPosModels = {
    .class_token = Expressible::kOptional,
    .layer_scale = Expressible::kOptional,
    .final_norm = Expressible::kOneOfTwo,
    .rectangles = true,
    .no_positions = true,
    .qk_norm = true,
    .res_post = true,
    .relative_table = true,
    .relative_mlp = true,
};

class TimmRelPosFamily : public TimmVariant {
 public:
  TimmRelPosFamily() : TimmVariant(kTimmRelPos) {}
  const char* name() const override { return "timm_relpos"; }
  const char* models() const override { return "timm's ViT with relative positions"; }

  NameTables tables(const Spelling&) const override {
    return {.rows = {kRelPosRows}, .identity = true};
  }
  bool is_left_out(std::string_view name) const override {
    return name.ends_with("rel_pos.relative_position_index") ||
           name.ends_with("rel_pos.rel_coords_log");
  }

  void leave_open(const Spelling&, ConfigDraft& draft) const override {
    // A block with norms behind its branches has no LayerScale.
    if (!draft.config.block.layer_scale) draft.open.insert("norm_placement");
    draft.reasons["norm_placement"] =
        "norm_placement is pre, or res_post where norms follow attention and MLP";
  }

  const Expressible& expressible() const override { return kRelPosModels; }
  void express_head(ModelEdit& model) const override {
    const C& c = model.config;
    model.require(c.head.pooling == Pooling::class_token || c.head.pooling == Pooling::mean,
                  "any pooling but the class token and the mean of the patches");
    model.require(c.position.kind == Position::none,
                  "positions that are added beside relative ones");
    model.require((c.relative.per_block == RelativePosition::none) !=
                      (c.relative.shared == RelativePosition::none),
                  "relative positions of blocks and of all of them together");
    model.require(
        !c.relative.has_table() || !c.tokens.class_token || c.relative.table.prefix_has_entries,
        "a table without entries for the class token");
    model.require(c.block.norms == NormPlacement::pre || !c.block.layer_scale,
                  "norms behind attention and MLP together with LayerScale");
  }

 protected:
  bool is_own(const C& c) const override {
    return c.relative.present() && c.position.kind == Position::none &&
           (c.block.attention.key_bias || !c.relative.has_table());
  }
  std::string mark(const FileEvidence& file, const std::string& prefix) const override {
    for (const char* name :
         {"blocks.0.attn.rel_pos.mlp.fc1.weight", "shared_rel_pos.mlp.fc1.weight",
          "blocks.0.attn.rel_pos.relative_position_bias_table",
          "shared_rel_pos.relative_position_bias_table"})
      if (file.tensors().contains(prefix + name)) return prefix + name;
    return "";
  }
  void settle_always(ConfigDraft& draft) const override {
    draft.settle("activation", draft.config.block.mlp.activation, Activation::gelu, every_model());
    draft.settle("layer_norm_epsilon", draft.config.layer_norm_epsilon, 1e-6, every_model());
  }
  Written written(const C& c) const override {
    const bool shared = c.relative.shared != RelativePosition::none;
    const RelativePosition kind = shared ? c.relative.shared : c.relative.per_block;
    nlohmann::json args = common_timm_arguments(c);
    args["qk_norm"] = c.block.attention.qk_norm;
    args["init_values"] = c.block.layer_scale ? c.block.layer_scale_init : 0.0;
    args["class_token"] = c.tokens.class_token;
    args["fc_norm"] = c.head.norm;
    args["rel_pos_type"] = kind == RelativePosition::table ? "bias"
                           : kind == RelativePosition::mlp ? "mlp"
                                                           : "mlp_swin";
    if (kind != RelativePosition::table) args["rel_pos_dim"] = c.relative.network.hidden_dim;
    args["shared_rel_pos"] = shared;
    // Where the norms of a block stand is a class, which arguments do not name.
    const PublishedArchitecture* own = find_published(c.architecture);
    const bool named = own != nullptr && own->family() == name() &&
                       published_config(*own).block.norms == c.block.norms;
    const char* start = c.block.norms == NormPlacement::res_post
                            ? "vit_relpos_small_patch16_rpn_224"
                            : "vit_relpos_small_patch16_224";
    return {named ? c.architecture : start, std::move(args)};
  }
};

}  // namespace

const Family* timm_relpos_family() {
  static const TimmRelPosFamily family;
  return &family;
}

}  // namespace vitrail
