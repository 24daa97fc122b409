// timm's Eva: EVA, EVA-02, ViTs with rotary positions, DINOv3, the Perception Encoder and
// LingBot-Vision; and the original files of EVA-02, whose names differ.
#include "core/error.h"
#include "models/families/published.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_variant.h"

namespace vitrail {
namespace {

using C = VitConfig;

// Bits of a generation.
constexpr int kEvaSeparate = 2;  // q, k and v by projections of their own
constexpr int kEvaOriginal = 4;  // names of EVA-02's own files

constexpr NameRow kEvaRows[] = {
    {"blocks.#.ls1.gamma", {"@blocks.#.gamma_1"}},
    {"blocks.#.ls2.gamma", {"@blocks.#.gamma_2"}},
};
constexpr NameRow kEvaSeparateRows[] = {
    {"blocks.#.attn.qkv", {"@blocks.#.attn.q_proj+@blocks.#.attn.k_proj+@blocks.#.attn.v_proj"}},
};
constexpr NameRow kEvaSeparateBiases[] = {
    {"blocks.#.attn.q_bias", {"@blocks.#.attn.q_proj.bias"}},
    {"blocks.#.attn.v_bias", {"@blocks.#.attn.v_proj.bias"}},
};
constexpr NameRow kEvaOriginalRows[] = {
    {"blocks.#.mlp.fc1_g", {"@blocks.#.mlp.w1"}},
    {"blocks.#.mlp.fc1_x", {"@blocks.#.mlp.w2"}},
    {"blocks.#.mlp.fc1", {"@blocks.#.mlp.w12"}},
    {"blocks.#.mlp.fc2", {"@blocks.#.mlp.w3"}},
    {"blocks.#.mlp.norm", {"@blocks.#.mlp.ffn_ln"}},
    {"blocks.#.attn.norm", {"@blocks.#.attn.inner_attn_ln"}},
};

constexpr Expressible kEvaModels = {
    .class_token = Expressible::kOptional,
    .layer_scale = Expressible::kOptional,
    .final_norm = Expressible::kAtMostOne,
    .register_tokens = true,
    .inner_norms = true,
    .gated_mlp = true,
    .rectangles = true,
    .no_positions = true,
    .free_position_prefix = true,
    .optional_biases = true,
    .block_biases = true,
    .split_gate = true,
    .res_post = true,
    .rotary = true,
    .no_key_bias = true,
};

class TimmEvaFamily : public TimmVariant {
 public:
  TimmEvaFamily() : TimmVariant(kTimmEva) {}
  const char* name() const override { return "timm_eva"; }
  const char* models() const override {
    return "timm's EVA, EVA-02, DINOv3, Perception Encoder and rotary ViTs";
  }

  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    const auto has = [&](const char* name) { return file.tensors().contains(s.prefix + name); };
    if (has("blocks.0.attn.q_proj.weight")) s.generation |= kEvaSeparate;
    if (has("blocks.0.mlp.w3.weight")) s.generation |= kEvaOriginal;
  }
  NameTables tables(const Spelling& s) const override {
    NameTables tables{.rows = {kEvaRows}, .identity = true};
    if (s.generation & kEvaSeparate) tables.rows.emplace_back(kEvaSeparateRows);
    if (s.generation & kEvaOriginal)
      tables.rows.emplace_back(kEvaOriginalRows);
    else if (s.generation & kEvaSeparate)
      tables.rows.emplace_back(kEvaSeparateBiases);
    return tables;
  }
  // Angles that are computed from the grid, and what pre-training alone reads.
  bool is_left_out(std::string_view name) const override {
    return name.ends_with("rope.freqs_cos") || name.ends_with("rope.freqs_sin") ||
           name == "mask_token" || name == "lm_head.weight" || name == "lm_head.bias";
  }

  void leave_open(const Spelling&, ConfigDraft& draft) const override {
    const C& c = draft.config;
    draft.open.insert("rotary");
    draft.reasons["rotary"] =
        "rotary positions leave no tensor: an architecture says which they are, and rotary=none "
        "that there are none";
    // So many heads as the blocks have, or fewer.
    if (is_map(c.head.pooling)) draft.open.insert("pool_heads");
    // Of timm's definitions with norms behind attention and MLP none has the others.
    if (!c.block.layer_scale && c.block.mlp.kind == MlpKind::plain && !c.pre_norm)
      draft.open.insert("norm_placement");
    draft.reasons["norm_placement"] =
        "norm_placement is pre, or res_post where norms follow attention and MLP";
  }

  const Expressible& expressible() const override { return kEvaModels; }
  double written_epsilon(const C& c) const override {
    return c.layer_norm_epsilon == 1e-5 ? 1e-5 : 1e-6;
  }
  void express_head(ModelEdit& model) const override {
    const C& c = model.config;
    model.require(c.head.pooling != Pooling::class_and_mean && c.head.pooling != Pooling::mean_all,
                  "a mean with the tokens before the patches");
    model.require(c.head.pooling != Pooling::map || c.prefix_tokens() == 0,
                  "attention pooling of the patches alone");
    model.require(c.block.mlp.kind == MlpKind::plain ? c.block.mlp.activation == Activation::gelu
                                                     : c.block.mlp.activation == Activation::silu,
                  "another activation than GELU, or SiLU in a gated MLP");
    model.require(!(c.block.mlp.kind == MlpKind::gated_packed && c.block.mlp.hidden_norm),
                  "a norm in a gated MLP with packed halves");
    model.require(c.rotary.coordinates != RotaryCoordinates::pixel, "rotary positions in pixels");
    model.require(
        c.block.norms == NormPlacement::pre || (!c.block.layer_scale && !c.block.attention.qk_norm),
        "norms behind attention and MLP together with LayerScale or qk_norm");
  }

 protected:
  bool is_own(const C& c) const override {
    return !c.relative.present() && (c.rotary.kind != Rotary::none ||
                                     (c.block.attention.qkv_bias && !c.block.attention.key_bias));
  }
  std::string mark(const FileEvidence& file, const std::string& prefix) const override {
    for (const char* name : {"rope.freqs", "blocks.0.attn.q_proj.weight"})
      if (file.tensors().contains(prefix + name)) return prefix + name;
    const std::string bias = prefix + "blocks.0.attn.q_bias";
    const bool relative =
        file.any_name_contains("rel_pos") || file.any_name_contains("relative_position_bias_table");
    return file.tensors().contains(bias) && !relative ? bias : "";
  }
  void settle_always(ConfigDraft& draft) const override {
    const C& c = draft.config;
    draft.settle("activation", draft.config.block.mlp.activation,
                 c.block.mlp.kind == MlpKind::plain ? Activation::gelu : Activation::silu,
                 every_model());
    if (is_map(c.head.pooling))
      draft.settle("pooling", draft.config.head.pooling,
                   c.prefix_tokens() > 0 ? Pooling::map_all : Pooling::map, every_model());
  }
  void settle_by_names(ConfigDraft& draft) const override {
    const RotaryConfig rotary = draft.config.rotary;
    if (rotary.kind == Rotary::mixed)
      draft.settle("rotary", draft.config.rotary, rotary, "names (rope.freqs)");
  }
  Written written(const C& c) const override;
};

bool has_reference(const C& c) {
  return c.rotary.kind == Rotary::axial && c.rotary.coordinates == RotaryCoordinates::index &&
         c.rotary.reference_height > 0;
}

// Whether the arguments of `c` make it of the definition: epsilon, LayerScale and reference cannot
// be taken back by one.
bool makes(const C& definition, const C& c) {
  const bool ignores_reference =
      c.rotary.kind != Rotary::axial || c.rotary.coordinates == RotaryCoordinates::centred;
  return definition.layer_norm_epsilon == c.layer_norm_epsilon &&
         (c.block.layer_scale || !definition.block.layer_scale) &&
         (ignores_reference || has_reference(c) || !has_reference(definition));
}

std::string base_of(const C& c) {
  for (const std::string_view name :
       {std::string_view(c.architecture), std::string_view("eva_giant_patch14_224"),
        std::string_view("vit_pe_spatial_tiny_patch16_512"),
        std::string_view("vit_small_patch16_dinov3_qkvb")}) {
    const PublishedArchitecture* published = find_published(name);
    if (published != nullptr && published->family() == "timm_eva" &&
        makes(published_config(*published), c))
      return std::string(name);
  }
  fail("convert",
       "timm_eva models cannot express rotary positions by numbers without a reference "
       "beside a layer_norm_epsilon of 1e-5 and no LayerScale");
}

TimmVariant::Written TimmEvaFamily::written(const C& c) const {
  const RotaryConfig& r = c.rotary;
  nlohmann::json args = common_timm_arguments(c);
  args["qkv_fused"] = true;
  args["attn_type"] = c.block.attention.key_bias ? "rope" : "eva";
  args["qk_norm"] = c.block.attention.qk_norm;
  args["swiglu_mlp"] = c.block.mlp.kind != MlpKind::plain;
  // Of 1 it changes no width, and gives the halves matrices of their own.
  args["swiglu_align_to"] =
      c.block.mlp.kind == MlpKind::gated_split && !c.block.mlp.hidden_norm ? 1 : 0;
  args["scale_mlp"] = c.block.mlp.hidden_norm;
  args["scale_attn_inner"] = c.block.attention.output_norm;
  if (c.block.layer_scale) args["init_values"] = c.block.layer_scale_init;
  args["class_token"] = c.tokens.class_token;
  args["num_reg_tokens"] = c.tokens.register_tokens;
  args["no_embed_class"] =
      c.prefix_tokens() > 0 && c.position.prefix == 0 && c.position.kind == Position::learned;
  args["use_abs_pos_emb"] = c.position.kind == Position::learned;
  args["use_rot_pos_emb"] = r.kind != Rotary::none;
  const bool centred = r.coordinates == RotaryCoordinates::centred;
  args["rope_type"] = r.kind == Rotary::mixed ? "mixed" : centred ? "dinov3" : "cat";
  args["rope_temperature"] = r.base;
  args["rope_grid_offset"] = r.offset;
  args["rope_grid_indexing"] = r.column_first ? "xy" : "ij";
  args["rope_rotate_half"] = !r.interleaved;
  if (has_reference(c)) args["ref_feat_shape"] = {r.reference_height, r.reference_width};
  args["use_post_norm"] = c.block.norms == NormPlacement::res_post;
  args["use_pre_transformer_norm"] = c.pre_norm;
  args["use_post_transformer_norm"] = c.final_norm;
  args["use_fc_norm"] = c.head.norm;
  if (is_map(c.head.pooling)) {
    args["attn_pool_num_heads"] =
        c.head.map.num_heads > 0 ? c.head.map.num_heads : c.block.attention.num_heads;
    args["attn_pool_mlp_ratio"] = timm_ratio(
        c.head.map.mlp_hidden_dim > 0 ? c.head.map.mlp_hidden_dim : c.mlp_hidden(), c.embed_dim);
  }
  return {base_of(c), std::move(args)};
}

}  // namespace

const Family* timm_eva_family() {
  static const TimmEvaFamily family;
  return &family;
}

}  // namespace vitrail
