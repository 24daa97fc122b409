// transformers' DeiT: a ViT with a distillation token, and one head or two.
#include "models/families/hf/hf.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr int kPlainDeitHead = 2;  // of a generation: one classifier

constexpr NameRow kHfDistilledHeads[] = {
    {"head", {"cls_classifier"}},
    {"head_dist", {"distillation_classifier"}},
};

constexpr HfModel kHfDeit[] = {{"deit", "DeiT"}};
constexpr std::string_view kHfDeitArchitectures[] = {
    "DeiTModel",
    "DeiTForImageClassification",
    "DeiTForImageClassificationWithTeacher",
    "DeiTForMaskedImageModeling",
};
constexpr std::string_view kHfDeitClasses[] = {
    "transformers.models.deit.modeling_deit.DeiTModel",
    "transformers.models.deit.modeling_deit.DeiTForImageClassification",
    "transformers.models.deit.modeling_deit.DeiTForImageClassificationWithTeacher",
};
constexpr Expressible kHfDeitModels = {.distillation_token = Expressible::kAlways,
                                       .any_head_size = true,
                                       .any_activation = true,
                                       .rectangles = true};

class HfDeitFamily : public HfFamily {
 public:
  const char* name() const override { return "hf_deit"; }
  const char* models() const override { return "transformers' DeiT"; }
  std::span<const HfModel> hf_models() const override { return kHfDeit; }
  std::span<const std::string_view> architectures() const override { return kHfDeitArchitectures; }
  std::span<const std::string_view> module_classes() const override { return kHfDeitClasses; }
  std::string_view mark() const override { return "embeddings.distillation_token"; }
  const Family* refines() const override { return hf_vit_family(); }
  bool suits(const NetworkConfig& config) const override {
    const auto* vit = config.get_if<VitConfig>();
    return vit != nullptr && vit->tokens.distillation_token;
  }

  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    HfFamily::read_spelling(file, s);
    if (!file.any_name_contains("cls_classifier.")) s.generation |= kPlainDeitHead;
  }
  bool is_training_part(const Spelling&, std::string_view name) const override {
    return is_hf_pixel_decoder(name);
  }
  NameTables tables(const Spelling& s) const override {
    const int column = s.generation & kAgeBit;
    if (s.generation & kPlainDeitHead) return {{hf_rows()}, column, false};
    return {{kHfDistilledHeads, hf_rows()}, column, false};
  }

  const Expressible& expressible() const override { return kHfDeitModels; }
  void express_head(ModelEdit& model) const override {
    const VitConfig& c = model.config;
    model.require(c.head.pooling == Pooling::class_token ||
                      (c.head.pooling == Pooling::distilled && c.num_classes > 0),
                  "any pooling but that of the class and distillation tokens");
  }

 protected:
  void spell_model(const VitConfig& config, Spelling& s) const override {
    if (config.head.pooling != Pooling::distilled) s.generation |= kPlainDeitHead;
  }
};

}  // namespace

const Family* hf_deit_family() {
  static const HfDeitFamily family;
  return &family;
}

}  // namespace vitrail
