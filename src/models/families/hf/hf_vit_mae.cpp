// transformers' ViTMAE (He et al. 2022, masked autoencoders): its encoder, a ViT without a head. It
// sees every patch, in its place: mask_ratio belongs to pretraining. The decoder is not run. The
// tensors are a ViT's, so that config.json alone can say which of the two a file is.
#include "models/families/hf/hf.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr FieldRule kHfMaeFields[] = {
    {"intermediate_size"},
    {"decoder_num_attention_heads", FieldRule::kNumber},
    {"decoder_hidden_size", FieldRule::kNumber},
    {"decoder_num_hidden_layers", FieldRule::kNumber},
    {"decoder_intermediate_size", FieldRule::kNumber},
    {"mask_ratio", FieldRule::kNumber},
    {"norm_pix_loss", FieldRule::kFlag},
};

constexpr HfModel kHfMae[] = {{.type = "vit_mae", .stem = "ViTMAE", .prefix = "vit."}};
constexpr std::string_view kHfMaeArchitectures[] = {"ViTMAEModel", "ViTMAEForPreTraining"};
constexpr std::string_view kHfMaeClasses[] = {
    "transformers.models.vit_mae.modeling_vit_mae.ViTMAEModel",
    "transformers.models.vit_mae.modeling_vit_mae.ViTMAEForPreTraining",
};
constexpr Expressible kHfMaeModels = {
    .any_head_size = true, .any_activation = true, .rectangles = true};

class HfMaeFamily : public HfFamily {
 public:
  const char* name() const override { return "hf_vit_mae"; }
  const char* models() const override { return "transformers' MAE encoder"; }
  std::span<const HfModel> hf_models() const override { return kHfMae; }
  std::span<const std::string_view> architectures() const override { return kHfMaeArchitectures; }
  std::span<const std::string_view> module_classes() const override { return kHfMaeClasses; }
  std::string evidence(const FileEvidence&, const std::string&) const override { return ""; }
  bool is_training_part(const Spelling&, std::string_view name) const override {
    return name.starts_with("decoder.");
  }

  NameTables tables(const Spelling& s) const override {
    return {{hf_rows()}, s.generation & kAgeBit, false};
  }
  std::vector<std::span<const FieldRule>> config_fields(const HfModel&) const override {
    return {hf_encoder_fields(), kHfMaeFields};
  }

  // A classifier of it is a ViT's.
  std::vector<const Family*> classifier_forms() const override { return {hf_vit_family()}; }
  const Expressible& expressible() const override { return kHfMaeModels; }
  void express_head(ModelEdit& model) const override {
    model.require(model.config.num_classes == 0, "a head");
    model.require(model.config.head.pooling == Pooling::class_token,
                  "any pooling but the class token's");
  }
};

}  // namespace

const Family* hf_vit_mae_family() {
  static const HfMaeFamily family;
  return &family;
}

}  // namespace vitrail
