// transformers' AIMv2 vision tower (Fini et al. 2024): RMSNorm, also behind the patch embedding, a
// gated MLP in two projections, no class token. The attention that pools its tokens has a query
// without a projection and nothing behind it; it is left out, and the pooled vector is the mean.
#include "models/families/hf/hf.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr NameRow kHfAimv2[] = {
    {"pos_embed", {"@embeddings.position_embedding.weight"}},
    {"patch_embed.proj", {"@embeddings.patch_embed"}},
    {"patch_embed.norm", {"@embeddings.rms_norm"}},
    {"blocks.#.norm1", {"@encoder.layers.#.rms_norm1"}},
    {"blocks.#.attn.qkv",
     {"@encoder.layers.#.attention.q_proj+@encoder.layers.#.attention.k_proj+"
      "@encoder.layers.#.attention.v_proj"}},
    {"blocks.#.attn.proj", {"@encoder.layers.#.attention.out_proj"}},
    {"blocks.#.norm2", {"@encoder.layers.#.rms_norm2"}},
    {"blocks.#.mlp.fc1_g", {"@encoder.layers.#.ffn.gate_proj"}},
    {"blocks.#.mlp.fc1_x", {"@encoder.layers.#.ffn.up_proj"}},
    {"blocks.#.mlp.fc2", {"@encoder.layers.#.ffn.down_proj"}},
    {"norm", {"@rms_norm"}},
};

constexpr FieldRule kHfAimv2Fields[] = {
    {"hidden_size"},
    {"intermediate_size"},
    {"num_hidden_layers"},
    {"num_attention_heads"},
    {"num_channels"},
    {"image_size"},
    {"patch_size"},
    {"hidden_act"},
    {"attention_dropout", FieldRule::kNumber},
    {"rms_norm_eps"},
    {"qkv_bias"},
    {"mlp_bias"},
    {"initializer_range", FieldRule::kNumber},
    {"use_head", FieldRule::kFlag},
    {"is_native", FieldRule::kOnly, "[false]"},
};

constexpr HfModel kHfAimv2Models[] = {{.type = "aimv2_vision_model",
                                       .stem = "Aimv2Vision",
                                       .epsilon = 1e-5,
                                       .heads = 8,
                                       .activation = "silu"}};
constexpr std::string_view kHfAimv2Architectures[] = {"Aimv2VisionModel"};
constexpr std::string_view kHfAimv2Classes[] = {
    "transformers.models.aimv2.modeling_aimv2.Aimv2VisionModel"};
constexpr Expressible kHfAimv2Expressible = {.class_token = Expressible::kNever,
                                             .rms_norm = true,
                                             .any_activation = true,
                                             .optional_biases = true,
                                             .split_gate = true};

class HfAimv2Family : public HfFamily {
 public:
  const char* name() const override { return "hf_aimv2"; }
  const char* models() const override { return "transformers' AIMv2 vision tower"; }
  std::span<const HfModel> hf_models() const override { return kHfAimv2Models; }
  std::span<const std::string_view> architectures() const override { return kHfAimv2Architectures; }
  std::span<const std::string_view> module_classes() const override { return kHfAimv2Classes; }
  std::string_view patch_mark() const override { return "embeddings.patch_embed.weight"; }
  std::string_view mark() const override { return "embeddings.rms_norm.weight"; }
  const Family* refines() const override { return hf_ijepa_family(); }
  bool suits(const NetworkConfig& config) const override {
    const auto* vit = config.get_if<C>();
    return vit != nullptr && vit->patches.output_norm && vit->norm == NormKind::root_mean_square;
  }
  bool is_left_out(std::string_view name) const override {
    return name == "head.cls_token" || name.starts_with("head.k_proj.") ||
           name.starts_with("head.v_proj.") || name.starts_with("head.output_proj.") ||
           name == "embeddings.position_ids";
  }

  void read_spelling(const FileEvidence&, Spelling&) const override {}
  NameTables tables(const Spelling&) const override { return {{kHfAimv2}, 0, false}; }
  void settle_head(ConfigDraft& draft, const FileReading&) const override {
    draft.settle("norm", draft.config.norm, NormKind::root_mean_square, every_model());
    draft.settle("pooling", draft.config.head.pooling, Pooling::mean, every_model());
  }
  bool has_fixed_gate() const override { return false; }
  const char* epsilon_key() const override { return "rms_norm_eps"; }
  std::vector<std::span<const FieldRule>> config_fields(const HfModel&) const override {
    return {kHfAimv2Fields};
  }
  void check_config(ConfigDraft& draft, const nlohmann::json& config,
                    const std::string& place) const override {
    const C& c = draft.config;
    agree_with_tensors(config, "intermediate_size", c.block.mlp.hidden, place);
    agree_with_tensors(config, "qkv_bias", c.block.attention.qkv_bias, place);
    agree_with_tensors(config, "mlp_bias", c.block.mlp.bias, place);
  }
  void add_fields(const C& c, nlohmann::json& out) const override {
    out["intermediate_size"] = c.mlp_hidden();
    out["attention_dropout"] = 0.0;
    out["qkv_bias"] = c.block.attention.qkv_bias;
    out["mlp_bias"] = c.block.mlp.bias;
    out["use_head"] = false;
  }

  std::vector<const Family*> classifier_forms() const override {
    return {timm_family(), own_family()};
  }
  const Expressible& expressible() const override { return kHfAimv2Expressible; }
  void express_head(ModelEdit& model) const override {
    C& c = model.config;
    if (c.head.pooling == Pooling::mean_all) c.head.pooling = Pooling::mean;
    model.require(c.num_classes == 0, "a head");
    model.require(c.head.pooling == Pooling::mean, "any pooling but the mean of patches");
    model.require(c.norm == NormKind::root_mean_square && c.patches.output_norm,
                  "norms other than RMSNorm, one of them behind the patch embedding");
    model.require(c.block.mlp.kind == MlpKind::gated_split,
                  "an MLP without a gate of its own projection");
    model.require(c.block.attention.qkv_bias == c.block.attention.projection_bias,
                  "a bias of q, k and v or the projection alone");
    add_gate_biases(model);
    Tensor& positions = model.at("pos_embed");
    positions = positions.reshape({positions.numel() / c.embed_dim, c.embed_dim});
  }

 private:
  // One switch for all three projections of the MLP.
  static void add_gate_biases(ModelEdit& model) {
    const C& c = model.config;
    for (int64_t i = 0; c.block.mlp.bias && i < c.depth; ++i)
      for (const char* name : {"mlp.fc1_g.bias", "mlp.fc1_x.bias"})
        model.tensors.emplace(ModelEdit::block(i, name),
                              Tensor::zeros({c.mlp_hidden()}).to(model.dtype()));
  }
};

}  // namespace

const Family* hf_aimv2_family() {
  static const HfAimv2Family family;
  return &family;
}

}  // namespace vitrail
