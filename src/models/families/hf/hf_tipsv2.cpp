// transformers' TIPSv2 vision tower: DINOv2 with registers whose files have the original names, and
// whose positions are stretched by averaging triangles.
#include "core/error.h"
#include "formats/json.h"
#include "models/families/hf/hf.h"
#include "models/families/hf/hf_dinov2.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr int kTipsGatedMlp = 4;  // of a generation: SwiGLU

constexpr NameRow kHfTips[] = {
    {"reg_token", {"@register_tokens"}},
    {"blocks.#.mlp.fc1", {"@blocks.#.mlp.c_fc"}},
    {"blocks.#.mlp.fc2", {"@blocks.#.mlp.c_proj"}},
};
constexpr NameRow kHfTipsGated[] = {
    {"reg_token", {"@register_tokens"}},
    {"blocks.#.mlp.fc1", {"@blocks.#.mlp.w12"}},
    {"blocks.#.mlp.fc2", {"@blocks.#.mlp.w3"}},
};

constexpr FieldRule kHfTipsFields[] = {
    {"mlp_ratio"},
    {"use_swiglu_ffn"},
    {"num_register_tokens"},
    {"layerscale_value", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
    {"apply_layernorm", FieldRule::kOnly, "[true]"},
    {"reshape_hidden_states", FieldRule::kFlag},
    {"out_features", FieldRule::kIdle},
    {"out_indices", FieldRule::kIdle},
    {"_out_features", FieldRule::kIdle},
    {"_out_indices", FieldRule::kIdle},
    {"stage_names", FieldRule::kIdle},
};

constexpr HfModel kHfTipsModels[] = {
    {.type = "tipsv2_vision_model", .stem = "Tipsv2Vision", .epsilon = 1e-6, .image = 448}};
constexpr std::string_view kHfTipsArchitectures[] = {"Tipsv2VisionModel"};
constexpr std::string_view kHfTipsClasses[] = {
    "transformers.models.tipsv2.modeling_tipsv2.Tipsv2VisionModel"};
constexpr Expressible kHfTipsExpressible = {.layer_scale = Expressible::kAlways,
                                            .register_tokens = true,
                                            .mask_token = true,
                                            .any_activation = true,
                                            .gated_mlp = true,
                                            .rectangles = true};

class HfTipsFamily : public HfFamily {
 public:
  const char* name() const override { return "hf_tipsv2"; }
  const char* models() const override { return "transformers' TIPSv2 vision tower"; }
  std::span<const HfModel> hf_models() const override { return kHfTipsModels; }
  std::span<const std::string_view> architectures() const override { return kHfTipsArchitectures; }
  std::span<const std::string_view> module_classes() const override { return kHfTipsClasses; }
  std::string_view patch_mark() const override { return "patch_embed.proj.weight"; }
  // The names are those of the original DINOv2 and of timm.
  std::string evidence(const FileEvidence&, const std::string&) const override { return ""; }
  bool is_left_out(std::string_view name) const override { return name == "mask_token"; }

  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    if (file.any_name_contains(".mlp.w12.")) s.generation |= kTipsGatedMlp;
  }
  NameTables tables(const Spelling& s) const override {
    if (s.generation & kTipsGatedMlp) return {{kHfTipsGated}, 0, true};
    return {{kHfTips}, 0, true};
  }
  PositionResize position_resize(const C&) const override {
    return PositionResize::bilinear_antialias;
  }

  std::vector<std::span<const FieldRule>> config_fields(const HfModel&) const override {
    return {hf_encoder_fields(), kHfTipsFields};
  }
  void check_config(ConfigDraft& draft, const nlohmann::json& config,
                    const std::string& place) const override {
    const C& c = draft.config;
    agree_with_tensors(config, "qkv_bias", c.block.attention.qkv_bias, place);
    check_dinov2_mlp(c, config, place);
    agree_with_tensors(config, "num_register_tokens", c.tokens.register_tokens, place);
  }
  void add_fields(const C& c, nlohmann::json& out) const override {
    HfFamily::add_fields(c, out);
    add_dinov2_mlp(c, out);
    out["num_register_tokens"] = c.tokens.register_tokens;
  }

  std::vector<const Family*> classifier_forms() const override {
    return {timm_family(), own_family()};
  }
  const Expressible& expressible() const override { return kHfTipsExpressible; }
  void express_head(ModelEdit& model) const override {
    model.require(model.config.num_classes == 0, "a head");
    model.require(model.config.head.pooling == Pooling::class_token,
                  "any pooling but the class token's");
  }

 protected:
  void spell_model(const C& config, Spelling& s) const override {
    if (config.block.mlp.kind != MlpKind::plain) s.generation |= kTipsGatedMlp;
  }
};

}  // namespace

const Family* hf_tipsv2_family() {
  static const HfTipsFamily family;
  return &family;
}

}  // namespace vitrail
