// transformers' OWL-ViT and OWLv2 (Minderer et al. 2022): the tower of pictures, which is CLIP's
// with a patch embedding of its own name for the norm before the blocks.
#include "models/families/hf/hf_clip.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr NameRow kHfOwlRows[] = {
    {"norm_pre", {"@pre_layernorm"}},
    {"fc_norm", {"@post_layernorm"}},
};

constexpr HfModel kHfOwlModels[] = {{.type = "owlvit_vision_model",
                                     .stem = "OwlViTVision",
                                     .epsilon = 1e-5,
                                     .image = 768,
                                     .activation = "quick_gelu"},
                                    {.type = "owlv2_vision_model",
                                     .stem = "Owlv2Vision",
                                     .epsilon = 1e-5,
                                     .image = 768,
                                     .activation = "quick_gelu"}};
constexpr std::string_view kHfOwlArchitectures[] = {"OwlViTVisionModel", "Owlv2VisionModel"};
constexpr std::string_view kHfOwlClasses[] = {
    "transformers.models.owlvit.modeling_owlvit.OwlViTVisionModel",
    "transformers.models.owlv2.modeling_owlv2.Owlv2VisionModel",
};
constexpr Expressible kHfOwlExpressible = {.qkv_bias = Expressible::kAlways,
                                           .patch_bias = Expressible::kNever,
                                           .pre_norm = Expressible::kAlways,
                                           .final_norm = Expressible::kAfterPooling,
                                           .any_activation = true};

class HfOwlFamily : public HfClipTower {
 public:
  const char* name() const override { return "hf_owlvit"; }
  const char* models() const override { return "transformers' OWL-ViT vision tower"; }
  std::span<const HfModel> hf_models() const override { return kHfOwlModels; }
  std::span<const std::string_view> architectures() const override { return kHfOwlArchitectures; }
  std::span<const std::string_view> module_classes() const override { return kHfOwlClasses; }
  std::string_view mark() const override { return "pre_layernorm.weight"; }

  NameTables tables(const Spelling&) const override {
    return {{kHfOwlRows, hf_tower_rows()}, 0, false};
  }
  const Expressible& expressible() const override { return kHfOwlExpressible; }
  void express_head(ModelEdit& model) const override {
    model.require(model.config.num_classes == 0, "a head");
    HfClipTower::express_head(model);
  }

 protected:
  void spell(const C&, Spelling& s) const override { s.prefix = "vision_model."; }
};

}  // namespace

const Family* hf_owlvit_family() {
  static const HfOwlFamily family;
  return &family;
}

}  // namespace vitrail
