// transformers' InternVL vision tower (Chen et al. 2024): a ViT with LayerScale, whose tokens have
// no norm behind the blocks unless use_mean_pooling is off.
#include "core/error.h"
#include "formats/json.h"
#include "models/families/hf/hf.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr NameRow kHfInternVl[] = {
    {"blocks.#.norm1", {"@encoder.layer.#.layernorm_before"}},
    {"blocks.#.attn.qkv",
     {"@encoder.layer.#.attention.q_proj+@encoder.layer.#.attention.k_proj+"
      "@encoder.layer.#.attention.v_proj"}},
    {"blocks.#.attn.proj", {"@encoder.layer.#.attention.projection_layer"}},
    {"blocks.#.ls1.gamma", {"@encoder.layer.#.lambda_1"}},
    {"blocks.#.norm2", {"@encoder.layer.#.layernorm_after"}},
    {"blocks.#.mlp.fc1", {"@encoder.layer.#.mlp.fc1"}},
    {"blocks.#.mlp.fc2", {"@encoder.layer.#.mlp.fc2"}},
    {"blocks.#.ls2.gamma", {"@encoder.layer.#.lambda_2"}},
};

constexpr FieldRule kHfInternVlFields[] = {
    {"hidden_size"},
    {"num_hidden_layers"},
    {"num_attention_heads"},
    {"attention_bias"},
    {"use_qk_norm", FieldRule::kOnly, "[false]"},
    {"intermediate_size"},
    {"hidden_act"},
    {"hidden_dropout_prob", FieldRule::kNumber},
    {"attention_dropout", FieldRule::kNumber},
    {"projection_dropout", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
    {"norm_type", FieldRule::kOnly, R"(["layer_norm"])"},
    {"layer_norm_eps"},
    {"image_size"},
    {"patch_size"},
    {"num_channels"},
    {"use_mask_token", FieldRule::kFlag},
    {"use_absolute_position_embeddings", FieldRule::kOnly, "[true]"},
    {"layer_scale_init_value", FieldRule::kNumber},
    {"use_mean_pooling"},
};

constexpr HfModel kHfInternVlModels[] = {{.type = "internvl_vision",
                                          .stem = "InternVLVision",
                                          .epsilon = 1e-6,
                                          .heads = 16,
                                          .image = 448}};
constexpr std::string_view kHfInternVlArchitectures[] = {"InternVLVisionModel"};
constexpr std::string_view kHfInternVlClasses[] = {
    "transformers.models.internvl.modeling_internvl.InternVLVisionModel"};
constexpr Expressible kHfInternVlExpressible = {.layer_scale = Expressible::kAlways,
                                                .final_norm = Expressible::kOptionalBefore,
                                                .any_activation = true,
                                                .rectangles = true};

class HfInternVlFamily : public HfFamily {
 public:
  const char* name() const override { return "hf_internvl"; }
  const char* models() const override { return "transformers' InternVL vision tower"; }
  std::span<const HfModel> hf_models() const override { return kHfInternVlModels; }
  std::span<const std::string_view> architectures() const override {
    return kHfInternVlArchitectures;
  }
  std::span<const std::string_view> module_classes() const override { return kHfInternVlClasses; }
  std::string_view mark() const override { return "attention.projection_layer.weight"; }
  const Family* refines() const override { return hf_vit_family(); }

  // One spelling, whose q_proj says nothing of its age.
  void read_spelling(const FileEvidence&, Spelling&) const override {}
  NameTables tables(const Spelling&) const override { return {{kHfInternVl, hf_rows()}, 0, false}; }

  std::vector<std::span<const FieldRule>> config_fields(const HfModel&) const override {
    return {kHfInternVlFields};
  }
  void check_config(ConfigDraft& draft, const nlohmann::json& config,
                    const std::string& place) const override {
    const C& c = draft.config;
    agree_with_tensors(config, "attention_bias", c.block.attention.qkv_bias, place);
    agree_with_tensors(config, "intermediate_size", c.block.mlp.hidden, place);
    agree_with_tensors(config, "use_mean_pooling", !c.final_norm, place);
  }
  void add_fields(const C& c, nlohmann::json& out) const override {
    out["attention_bias"] = c.block.attention.qkv_bias;
    out["intermediate_size"] = c.mlp_hidden();
    out["use_mean_pooling"] = !c.final_norm;
    out["image_size"] = {c.image_height, c.image_width};
    out["patch_size"] = {c.patches.patch_height, c.patches.patch_width};
  }

  std::vector<const Family*> classifier_forms() const override { return {own_family()}; }
  const Expressible& expressible() const override { return kHfInternVlExpressible; }
  void express_head(ModelEdit& model) const override {
    model.require(model.config.num_classes == 0, "a head");
    model.require(model.config.head.pooling == Pooling::class_token,
                  "any pooling but the class token's");
  }
};

}  // namespace

const Family* hf_internvl_family() {
  static const HfInternVlFamily family;
  return &family;
}

}  // namespace vitrail
