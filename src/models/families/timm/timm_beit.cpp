// timm's Beit, whose names the original files of BEiT and BEiT v2 have, too.
#include "models/families/published.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_variant.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr NameRow kBeitRows[] = {
    {"blocks.#.ls1.gamma", {"@blocks.#.gamma_1"}},
    {"blocks.#.ls2.gamma", {"@blocks.#.gamma_2"}},
};

constexpr Expressible kBeitModels = {
    .class_token = Expressible::kAlways,
    .layer_scale = Expressible::kOptional,
    .final_norm = Expressible::kOneOfTwo,
    .rectangles = true,
    .no_positions = true,
    .mlp_norm = true,
    .split_gate = true,
    .relative_table = true,
    .no_key_bias = true,
    .with_key_bias = false,
};

class TimmBeitFamily : public TimmVariant {
 public:
  TimmBeitFamily() : TimmVariant(kTimmBeit) {}
  const char* name() const override { return "timm_beit"; }
  const char* models() const override { return "timm's and the original BEiT"; }

  NameTables tables(const Spelling&) const override {
    return {.rows = {kBeitRows}, .identity = true};
  }
  // What is computed from the grid, and what pre-training alone reads.
  bool is_left_out(std::string_view name) const override {
    return name.ends_with("relative_position_index") || name == "mask_token" ||
           name == "lm_head.weight" || name == "lm_head.bias";
  }

  const Expressible& expressible() const override { return kBeitModels; }
  void express_head(ModelEdit& model) const override {
    const C& c = model.config;
    model.require(c.head.pooling == Pooling::class_token || c.head.pooling == Pooling::mean,
                  "any pooling but the class token and the mean of the patches");
    model.require(c.block.mlp.kind == MlpKind::plain ? c.block.mlp.activation == Activation::gelu
                                                     : c.block.mlp.activation == Activation::silu,
                  "another activation than GELU, or SiLU in a gated MLP");
    model.require(!c.relative.present() || c.relative.table.prefix_has_entries,
                  "relative positions without entries for the class token");
  }

 protected:
  bool is_own(const C& c) const override {
    return c.relative.has_table() &&
           (!c.block.attention.key_bias || c.position.kind == Position::learned);
  }
  std::string mark(const FileEvidence& file, const std::string& prefix) const override {
    for (const char* name : {"blocks.0.attn.relative_position_bias_table",
                             "rel_pos_bias.relative_position_bias_table"})
      if (file.tensors().contains(prefix + name)) return prefix + name;
    return "";
  }
  void settle_always(ConfigDraft& draft) const override {
    const C& c = draft.config;
    draft.settle("activation", draft.config.block.mlp.activation,
                 c.block.mlp.kind == MlpKind::plain ? Activation::gelu : Activation::silu,
                 every_model());
    draft.settle("layer_norm_epsilon", draft.config.layer_norm_epsilon, 1e-6, every_model());
  }
  Written written(const C& c) const override {
    nlohmann::json args = common_timm_arguments(c);
    args["swiglu_mlp"] = c.block.mlp.kind != MlpKind::plain;
    args["scale_mlp"] = c.block.mlp.hidden_norm;
    args["init_values"] = c.block.layer_scale ? c.block.layer_scale_init : 0.0;
    args["use_abs_pos_emb"] = c.position.kind == Position::learned;
    args["use_rel_pos_bias"] = c.relative.per_block != RelativePosition::none;
    args["use_shared_rel_pos_bias"] = c.relative.shared != RelativePosition::none;
    args["use_fc_norm"] = c.head.norm;
    const PublishedArchitecture* own = find_published(c.architecture);
    const bool named = own != nullptr && own->family() == name();
    return {named ? c.architecture : "beit_base_patch16_224", std::move(args)};
  }
};

}  // namespace

const Family* timm_beit_family() {
  static const TimmBeitFamily family;
  return &family;
}

}  // namespace vitrail
