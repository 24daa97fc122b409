// transformers' I-JEPA (Assran et al. 2023): a ViT without a class token; the mean of its patches
// is what a head reads.
#include "models/families/hf/hf.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr HfModel kHfIjepa[] = {{.type = "ijepa", .stem = "IJepa"}};
constexpr std::string_view kHfIjepaArchitectures[] = {"IJepaModel", "IJepaForImageClassification"};
constexpr std::string_view kHfIjepaClasses[] = {
    "transformers.models.ijepa.modeling_ijepa.IJepaModel",
    "transformers.models.ijepa.modeling_ijepa.IJepaForImageClassification",
};
constexpr Expressible kHfIjepaModels = {.class_token = Expressible::kNever,
                                        .any_head_size = true,
                                        .any_activation = true,
                                        .rectangles = true};

class HfIjepaFamily : public HfFamily {
 public:
  const char* name() const override { return "hf_ijepa"; }
  const char* models() const override { return "transformers' I-JEPA"; }
  std::span<const HfModel> hf_models() const override { return kHfIjepa; }
  std::span<const std::string_view> architectures() const override { return kHfIjepaArchitectures; }
  std::span<const std::string_view> module_classes() const override { return kHfIjepaClasses; }
  const Family* refines() const override { return hf_vit_family(); }
  // A ViT's names without a class token's.
  std::string evidence(const FileEvidence& file, const std::string& prefix) const override {
    const std::string positions = prefix + "embeddings.position_embeddings";
    const auto has = [&](const char* name) { return file.tensors().contains(prefix + name); };
    const bool blocks =
        has("encoder.layer.0.layernorm_before.weight") || has("layers.0.layernorm_before.weight");
    return blocks && has("embeddings.position_embeddings") && !has("embeddings.cls_token")
               ? positions
               : "";
  }
  bool suits(const NetworkConfig& config) const override {
    const auto* vit = config.get_if<C>();
    return vit != nullptr && !vit->tokens.class_token && !is_map(vit->head.pooling);
  }

  NameTables tables(const Spelling& s) const override {
    return {{hf_rows()}, s.generation & kAgeBit, false};
  }
  void settle_head(ConfigDraft& draft, const FileReading&) const override {
    draft.settle("pooling", draft.config.head.pooling, Pooling::mean, every_model());
  }

  const Expressible& expressible() const override { return kHfIjepaModels; }
  void express_head(ModelEdit& model) const override {
    if (model.config.head.pooling == Pooling::mean_all) model.config.head.pooling = Pooling::mean;
    model.require(model.config.head.pooling == Pooling::mean,
                  "any pooling but the mean of patches");
  }
};

}  // namespace

const Family* hf_ijepa_family() {
  static const HfIjepaFamily family;
  return &family;
}

}  // namespace vitrail
