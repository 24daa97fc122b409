// transformers' ViTMSN (Assran et al. 2022, masked siamese networks): a ViT by everything but its
// model_type. Its tensors are a ViT's, too, so that config.json alone can say which of the two a
// file is, but for the names of a classifier.
#include "models/families/hf/hf.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

// Of a generation: encoder.layer without the prefix that every other tensor has. So does
// transformers 5.24 write a classifier of this model, and reads it.
constexpr int kBareMsnEncoder = 2;
constexpr const char* kBareMsnBlock = "encoder.layer.0.layernorm_before.weight";

constexpr NameRow kHfMsnBareEncoder[] = {
    {"blocks.#.norm1", {"encoder.layer.#.layernorm_before"}},
    {"blocks.#.attn.qkv",
     {"encoder.layer.#.attention.attention.query+encoder.layer.#.attention.attention.key+"
      "encoder.layer.#.attention.attention.value"}},
    {"blocks.#.attn.proj", {"encoder.layer.#.attention.output.dense"}},
    {"blocks.#.norm2", {"encoder.layer.#.layernorm_after"}},
    {"blocks.#.mlp.fc1", {"encoder.layer.#.intermediate.dense"}},
    {"blocks.#.mlp.fc2", {"encoder.layer.#.output.dense"}},
};

constexpr HfModel kHfMsn[] = {
    {.type = "vit_msn", .stem = "ViTMSN", .epsilon = 1e-6, .prefix = "vit."}};
constexpr std::string_view kHfMsnArchitectures[] = {"ViTMSNModel", "ViTMSNForImageClassification"};
constexpr std::string_view kHfMsnClasses[] = {
    "transformers.models.vit_msn.modeling_vit_msn.ViTMSNModel",
    "transformers.models.vit_msn.modeling_vit_msn.ViTMSNForImageClassification",
};
constexpr Expressible kHfMsnModels = {
    .any_head_size = true, .any_activation = true, .rectangles = true};

class HfMsnFamily : public HfFamily {
 public:
  const char* name() const override { return "hf_vit_msn"; }
  const char* models() const override { return "transformers' MSN"; }
  std::span<const HfModel> hf_models() const override { return kHfMsn; }
  std::span<const std::string_view> architectures() const override { return kHfMsnArchitectures; }
  std::span<const std::string_view> module_classes() const override { return kHfMsnClasses; }
  const Family* refines() const override { return hf_vit_family(); }
  std::string evidence(const FileEvidence& file, const std::string& prefix) const override {
    return has_bare_encoder(file, prefix) ? kBareMsnBlock : "";
  }

  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    HfFamily::read_spelling(file, s);
    if (has_bare_encoder(file, s.prefix)) s.generation |= kBareMsnEncoder;
  }
  NameTables tables(const Spelling& s) const override {
    const int column = s.generation & kAgeBit;
    if (s.generation & kBareMsnEncoder) return {{kHfMsnBareEncoder, hf_rows()}, column, false};
    return {{hf_rows()}, column, false};
  }
  std::vector<std::span<const FieldRule>> config_fields(const HfModel&) const override {
    static constexpr FieldRule kFields[] = {{"intermediate_size"}};
    return {hf_encoder_fields(), kFields};
  }

  const Expressible& expressible() const override { return kHfMsnModels; }
  void express_head(ModelEdit& model) const override {
    model.require(model.config.head.pooling == Pooling::class_token,
                  "any pooling but the class token's");
  }

 private:
  static bool has_bare_encoder(const FileEvidence& file, const std::string& prefix) {
    return !prefix.empty() && file.tensors().contains(kBareMsnBlock);
  }
};

}  // namespace

const Family* hf_vit_msn_family() {
  static const HfMsnFamily family;
  return &family;
}

}  // namespace vitrail
