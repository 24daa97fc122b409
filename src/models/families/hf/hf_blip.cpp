// transformers' BLIP and BLIP-2 (Li et al. 2022, 2023): their tower of pictures. The norm behind
// the blocks is of every token, and the class token that is the pooled vector goes through it
// twice.
#include <cstring>

#include "models/families/hf/hf_tower.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr NameRow kHfBlipRows[] = {
    {"pos_embed", {"@embeddings.position_embedding"}},
    {"blocks.#.attn.qkv", {"@encoder.layers.#.self_attn.qkv"}},
    {"blocks.#.attn.proj", {"@encoder.layers.#.self_attn.projection"}},
    {"norm", {"@post_layernorm"}},
    {"fc_norm", {"@post_layernorm"}},
};

constexpr FieldRule kHfBlipFields[] = {{"qkv_bias"}};

constexpr HfModel kHfBlipModels[] = {
    {.type = "blip_vision_model", .stem = "BlipVision", .epsilon = 1e-5, .image = 384},
    {.type = "blip_2_vision_model", .stem = "Blip2Vision", .epsilon = 1e-6, .heads = 16}};
constexpr std::string_view kHfBlipArchitectures[] = {"BlipVisionModel", "Blip2VisionModel"};
constexpr std::string_view kHfBlipClasses[] = {
    "transformers.models.blip.modeling_blip.BlipVisionModel",
    "transformers.models.blip_2.modeling_blip_2.Blip2VisionModel",
};
constexpr Expressible kHfBlipExpressible = {.final_norm = Expressible::kTwice,
                                            .any_activation = true};

class HfBlipFamily : public HfTower {
 public:
  const char* name() const override { return "hf_blip"; }
  const char* models() const override { return "transformers' BLIP vision tower"; }
  std::span<const HfModel> hf_models() const override { return kHfBlipModels; }
  std::span<const std::string_view> architectures() const override { return kHfBlipArchitectures; }
  std::span<const std::string_view> module_classes() const override { return kHfBlipClasses; }
  std::string_view mark() const override { return "self_attn.qkv.weight"; }

  NameTables tables(const Spelling&) const override {
    return {{kHfBlipRows, hf_tower_rows()}, 0, false};
  }
  std::vector<std::span<const FieldRule>> config_fields(const HfModel& model) const override {
    auto fields = HfTower::config_fields(model);
    if (&model == &kHfBlipModels[1]) fields.emplace_back(kHfBlipFields);
    return fields;
  }
  void check_config(ConfigDraft& draft, const nlohmann::json& config,
                    const std::string& place) const override {
    HfTower::check_config(draft, config, place);
    agree_with_tensors(config, "qkv_bias", draft.config.block.attention.qkv_bias, place);
  }

  // BLIP has a bias of q, k and v, and BLIP-2 may do without.
  const HfModel& written_model(const C& c) const override {
    return kHfBlipModels[c.block.attention.qkv_bias ? 0 : 1];
  }
  void add_fields(const C& c, nlohmann::json& out) const override {
    HfTower::add_fields(c, out);
    if (!c.block.attention.qkv_bias) out["qkv_bias"] = false;
  }
  const Expressible& expressible() const override { return kHfBlipExpressible; }
  void express_head(ModelEdit& model) const override {
    model.require(model.config.num_classes == 0, "a head");
    model.require(model.config.head.pooling == Pooling::class_token,
                  "any pooling but the class token's");
    for (const char* part : {".weight", ".bias"}) {
      const Tensor& first = model.at(std::string("norm") + part);
      const Tensor& second = model.at(std::string("fc_norm") + part);
      model.require(first.bytes() == second.bytes() &&
                        std::memcmp(first.raw(), second.raw(), first.bytes()) == 0,
                    "two different norms on both sides of pooling");
      model.tensors.erase(std::string("fc_norm") + part);
    }
  }

 protected:
  bool is_classifier(const C&) const override { return false; }
};

}  // namespace

const Family* hf_blip_family() {
  static const HfBlipFamily family;
  return &family;
}

}  // namespace vitrail
