// transformers' DINOv3 (Simeoni et al. 2025): a ViT with LayerScale and registers whose patches
// have rotary positions alone, of centred coordinates, so that a picture of any size has its own.
#include "core/error.h"
#include "formats/json.h"
#include "models/families/hf/hf.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

// Bits of a generation, beside the one of age: today's files say layer, modules model.layer.
constexpr int kHfDinov3Gate = 2;     // an MLP with a gate
constexpr int kHfDinov3KeyBias = 4;  // a bias of k, too

constexpr NameRow kHfDinov3[] = {
    {"cls_token", {"@embeddings.cls_token"}},
    {"reg_token", {"@embeddings.register_tokens"}},
    {"mask_token", {"@embeddings.mask_token"}},
    {"patch_embed.proj", {"@embeddings.patch_embeddings"}},
    {"blocks.#.norm1", {"@layer.#.norm1", "@model.layer.#.norm1"}},
    {"blocks.#.attn.qkv.weight",
     {"@layer.#.attention.q_proj.weight+@layer.#.attention.k_proj.weight+"
      "@layer.#.attention.v_proj.weight",
      "@model.layer.#.attention.q_proj.weight+@model.layer.#.attention.k_proj.weight+"
      "@model.layer.#.attention.v_proj.weight"}},
    {"blocks.#.attn.proj", {"@layer.#.attention.o_proj", "@model.layer.#.attention.o_proj"}},
    {"blocks.#.ls1.gamma",
     {"@layer.#.layer_scale1.lambda1", "@model.layer.#.layer_scale1.lambda1"}},
    {"blocks.#.norm2", {"@layer.#.norm2", "@model.layer.#.norm2"}},
    {"blocks.#.mlp.fc2", {"@layer.#.mlp.down_proj", "@model.layer.#.mlp.down_proj"}},
    {"blocks.#.ls2.gamma",
     {"@layer.#.layer_scale2.lambda1", "@model.layer.#.layer_scale2.lambda1"}},
    {"norm", {"@norm"}},
};
constexpr NameRow kHfDinov3Plain[] = {
    {"blocks.#.mlp.fc1", {"@layer.#.mlp.up_proj", "@model.layer.#.mlp.up_proj"}}};
constexpr NameRow kHfDinov3GatedMlp[] = {
    {"blocks.#.mlp.fc1_g", {"@layer.#.mlp.gate_proj", "@model.layer.#.mlp.gate_proj"}},
    {"blocks.#.mlp.fc1_x", {"@layer.#.mlp.up_proj", "@model.layer.#.mlp.up_proj"}},
};
constexpr NameRow kHfDinov3TwoBiases[] = {
    {"blocks.#.attn.q_bias",
     {"@layer.#.attention.q_proj.bias", "@model.layer.#.attention.q_proj.bias"}},
    {"blocks.#.attn.v_bias",
     {"@layer.#.attention.v_proj.bias", "@model.layer.#.attention.v_proj.bias"}},
};
constexpr NameRow kHfDinov3ThreeBiases[] = {
    {"blocks.#.attn.qkv.bias",
     {"@layer.#.attention.q_proj.bias+@layer.#.attention.k_proj.bias+"
      "@layer.#.attention.v_proj.bias",
      "@model.layer.#.attention.q_proj.bias+@model.layer.#.attention.k_proj.bias+"
      "@model.layer.#.attention.v_proj.bias"}}};

constexpr FieldRule kHfDinov3Fields[] = {
    {"hidden_size"},
    {"intermediate_size"},
    {"num_hidden_layers"},
    {"num_attention_heads"},
    {"num_channels"},
    {"image_size"},
    {"patch_size"},
    {"hidden_act"},
    {"layer_norm_eps"},
    {"rope_theta"},
    {"query_bias"},
    {"key_bias"},
    {"value_bias"},
    {"proj_bias"},
    {"mlp_bias"},
    {"use_gated_mlp"},
    {"num_register_tokens"},
    {"attention_dropout", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
    {"layerscale_value", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
    // What training does to the coordinates.
    {"pos_embed_shift", FieldRule::kNumber},
    {"pos_embed_jitter", FieldRule::kNumber},
    {"pos_embed_rescale", FieldRule::kNumber},
    {"apply_layernorm", FieldRule::kOnly, "[true]"},
    {"reshape_hidden_states", FieldRule::kFlag},
    {"return_class_token", FieldRule::kFlag},
    {"out_features", FieldRule::kIdle},
    {"out_indices", FieldRule::kIdle},
    {"_out_features", FieldRule::kIdle},
    {"_out_indices", FieldRule::kIdle},
    {"stage_names", FieldRule::kIdle},
};

constexpr HfModel kHfDinov3Models[] = {
    {.type = "dinov3_vit", .stem = "DINOv3ViT", .epsilon = 1e-5, .heads = 6}};
constexpr std::string_view kHfDinov3Architectures[] = {"DINOv3ViTModel", "DINOv3ViTBackbone"};
constexpr std::string_view kHfDinov3Classes[] = {
    "transformers.models.dinov3_vit.modeling_dinov3_vit.DINOv3ViTModel"};
constexpr Expressible kHfDinov3Expressible = {.layer_scale = Expressible::kAlways,
                                              .register_tokens = true,
                                              .mask_token = true,
                                              .any_activation = true,
                                              .rectangles = true,
                                              .no_positions = true,
                                              .optional_biases = true,
                                              .split_gate = true,
                                              .rotary = true,
                                              .no_key_bias = true};

constexpr double kHfDinov3Base = 100;

RotaryConfig dinov3_rotary_settings(double base) {
  return {.kind = Rotary::axial,
          .base = base,
          .coordinates = RotaryCoordinates::centred,
          .interleaved = false};
}

class HfDinov3Family : public HfFamily {
 public:
  const char* name() const override { return "hf_dinov3"; }
  const char* models() const override { return "transformers' DINOv3"; }
  std::span<const HfModel> hf_models() const override { return kHfDinov3Models; }
  std::span<const std::string_view> architectures() const override {
    return kHfDinov3Architectures;
  }
  std::span<const std::string_view> module_classes() const override { return kHfDinov3Classes; }
  std::string_view patch_mark() const override { return "embeddings.patch_embeddings.weight"; }
  std::string_view mark() const override { return "layer_scale1.lambda1"; }
  const Family* refines() const override { return hf_dinov2_family(); }
  bool suits(const NetworkConfig& config) const override {
    const auto* vit = config.get_if<C>();
    return vit != nullptr && vit->block.layer_scale &&
           vit->rotary == dinov3_rotary_settings(vit->rotary.base);
  }

  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    const bool module = file.tensors().contains(s.prefix + "model.layer.0.norm1.weight");
    const std::string block = s.prefix + (module ? "model.layer.0." : "layer.0.");
    if (module) s.generation |= kAgeBit;
    if (file.tensors().contains(block + "mlp.gate_proj.weight")) s.generation |= kHfDinov3Gate;
    if (file.tensors().contains(block + "attention.k_proj.bias")) s.generation |= kHfDinov3KeyBias;
  }
  NameTables tables(const Spelling& s) const override {
    const std::span<const NameRow> mlp = s.generation & kHfDinov3Gate
                                             ? std::span<const NameRow>(kHfDinov3GatedMlp)
                                             : std::span<const NameRow>(kHfDinov3Plain);
    const std::span<const NameRow> biases = s.generation & kHfDinov3KeyBias
                                                ? std::span<const NameRow>(kHfDinov3ThreeBiases)
                                                : std::span<const NameRow>(kHfDinov3TwoBiases);
    return {{mlp, biases, kHfDinov3}, s.generation & kAgeBit, false};
  }
  void leave_open(const Spelling&, ConfigDraft& draft) const override {
    draft.config.rotary = dinov3_rotary_settings(kHfDinov3Base);
    draft.open.insert("rotary_base");
  }
  void settle_head(ConfigDraft& draft, const FileReading&) const override {
    draft.settle("pooling", draft.config.head.pooling, Pooling::class_token, every_model());
    draft.record("rotary", every_model());
  }

  bool has_fixed_gate() const override { return false; }
  std::vector<std::span<const FieldRule>> config_fields(const HfModel&) const override {
    return {kHfDinov3Fields};
  }
  void check_config(ConfigDraft& draft, const nlohmann::json& config,
                    const std::string& place) const override {
    C& c = draft.config;
    agree_with_tensors(config, "intermediate_size", c.block.mlp.hidden, place);
    check_biases(c, config, place);
    agree_with_tensors(config, "use_gated_mlp", c.block.mlp.kind != MlpKind::plain, place);
    agree_with_tensors(config, "num_register_tokens", c.tokens.register_tokens, place);
    if (draft.open.erase("rotary_base") == 0) return;
    const auto base = get_optional<double>(config, "rope_theta", place);
    c.rotary.base = base.value_or(kHfDinov3Base);
    draft.record("rotary_base", base ? place : "transformers' default");
  }
  void add_fields(const C& c, nlohmann::json& out) const override {
    out["intermediate_size"] = c.mlp_hidden();
    out["rope_theta"] = c.rotary.base;
    out["query_bias"] = out["value_bias"] = c.block.attention.qkv_bias;
    out["key_bias"] = c.block.attention.qkv_bias && c.block.attention.key_bias;
    out["proj_bias"] = c.block.attention.projection_bias;
    out["mlp_bias"] = c.block.mlp.bias;
    out["use_gated_mlp"] = c.block.mlp.kind != MlpKind::plain;
    out["num_register_tokens"] = c.tokens.register_tokens;
    out["attention_dropout"] = 0.0;
    out["layerscale_value"] = 1.0;
  }

  std::vector<const Family*> classifier_forms() const override {
    return {timm_eva_family(), own_family()};
  }
  const Expressible& expressible() const override { return kHfDinov3Expressible; }
  void express_head(ModelEdit& model) const override {
    C& c = model.config;
    model.require(c.num_classes == 0, "a head");
    model.require(c.head.pooling == Pooling::class_token, "any pooling but the class token's");
    model.require(c.position.kind == Position::none, "positions that are added");
    model.require(c.rotary == dinov3_rotary_settings(c.rotary.base),
                  "any rotary positions but those of centred coordinates");
    model.require(c.block.mlp.kind == MlpKind::plain || c.block.mlp.kind == MlpKind::gated_split ||
                      c.block.mlp.kind == MlpKind::gated_packed,
                  "a gated MLP whose gate comes last");
    model.at("mask_token") = model.at("mask_token").reshape({1, 1, c.embed_dim});
    // A tensor of no rows stands for none of them.
    if (c.tokens.register_tokens == 0)
      model.tensors["reg_token"] = Tensor::zeros({1, 0, c.embed_dim}).to(model.dtype());
  }

 protected:
  void spell_model(const C& c, Spelling& s) const override {
    if (c.block.mlp.kind != MlpKind::plain) s.generation |= kHfDinov3Gate;
    if (c.block.attention.qkv_bias && c.block.attention.key_bias) s.generation |= kHfDinov3KeyBias;
  }

 private:
  static void check_biases(const C& c, const nlohmann::json& config, const std::string& place) {
    const bool query = get_optional<bool>(config, "query_bias", place).value_or(true);
    const bool key = get_optional<bool>(config, "key_bias", place).value_or(false);
    const bool value = get_optional<bool>(config, "value_bias", place).value_or(true);
    if (query != value || (key && !query))
      fail(ErrorCode::unsupported, "transformers",
           "{}: query_bias is {}, key_bias {} and value_bias {}; Vitrail has biases of all three, "
           "of q and v, or none",
           place, query, key, value);
    agree_with_tensors(config, "query_bias", c.block.attention.qkv_bias, place);
    agree_with_tensors(config, "key_bias", c.block.attention.qkv_bias && c.block.attention.key_bias,
                       place);
    agree_with_tensors(config, "proj_bias", c.block.attention.projection_bias, place);
    agree_with_tensors(config, "mlp_bias", c.block.mlp.bias, place);
  }
};

}  // namespace

const Family* hf_dinov3_family() {
  static const HfDinov3Family family;
  return &family;
}

}  // namespace vitrail
