// transformers' ViT.
#include "models/families/hf/hf.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr HfModel kHfVit[] = {{"vit", "ViT"}};
constexpr std::string_view kHfVitArchitectures[] = {
    "ViTModel",
    "ViTForImageClassification",
    "ViTForMaskedImageModeling",
};
constexpr std::string_view kHfVitClasses[] = {
    "transformers.models.vit.modeling_vit.ViTModel",
    "transformers.models.vit.modeling_vit.ViTForImageClassification",
};
constexpr Expressible kHfVitModels = {
    .any_head_size = true, .any_activation = true, .rectangles = true};

class HfVitFamily : public HfFamily {
 public:
  const char* name() const override { return "hf_vit"; }
  const char* models() const override { return "transformers' ViT"; }
  std::span<const HfModel> hf_models() const override { return kHfVit; }
  std::span<const std::string_view> architectures() const override { return kHfVitArchitectures; }
  std::span<const std::string_view> module_classes() const override { return kHfVitClasses; }
  // What none of its sisters is made for.
  bool suits(const NetworkConfig& config) const override {
    return config.get_if<VitConfig>() != nullptr;
  }

  bool is_training_part(const Spelling&, std::string_view name) const override {
    return is_hf_pixel_decoder(name);
  }
  NameTables tables(const Spelling& s) const override {
    return {{hf_rows()}, s.generation & kAgeBit, false};
  }

  const Expressible& expressible() const override { return kHfVitModels; }
  void express_head(ModelEdit& model) const override {
    model.require(model.config.head.pooling == Pooling::class_token,
                  "any pooling but the class token's");
  }
};

}  // namespace

const Family* hf_vit_family() {
  static const HfVitFamily family;
  return &family;
}

}  // namespace vitrail
