// transformers' ViT, DeiT and DINOv2: what their families have in common, with a ViT's ways where
// they differ; the others' are in the file of each.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/families/hf/hf_models.h"
#include "models/families/reading/fields.h"
#include "models/families/vit_family.h"

namespace vitrail {

class HfFamily : public VitFamily, public TransformersModels {
 public:
  std::string_view group() const final { return "hf"; }
  const ConfigForm& config_form() const final;

  std::optional<Claim> recognise(const FileEvidence& file) const final;
  void read_spelling(const FileEvidence& file, Spelling& spelling) const override;
  bool is_left_out(std::string_view name) const final;

  void settle(ConfigDraft& draft, const FileReading& file) const final;
  const char* single_label_rule() const final { return "transformers' rule for 1 label"; }
  PositionResize position_resize(const VisionTransformerConfig& config) const final;

  // A configuration of transformers may have any.
  double written_epsilon(const VisionTransformerConfig& config) const final {
    return config.layer_norm_epsilon;
  }
  nlohmann::json config_for(const NetworkConfig& config, const ConversionOptions& options,
                            std::vector<std::string>& folds) const final;
  PreprocessKind preprocess_kind() const final { return PreprocessKind::hf; }
  const char* preprocess_file() const final { return "preprocessor_config.json"; }

  // ---- The family's own ----
  // A part of tensors' names that no other family of transformers has; "": none.
  virtual std::string_view mark() const { return ""; }
  // Fields of config.json beside those of every encoder.
  virtual std::vector<std::span<const FieldRule>> config_fields(const HfModel& model) const;
  // Error: of MLP and tokens the configuration says something else than the tensors.
  virtual void check_config(const ConfigDraft& draft, const nlohmann::json& config,
                            const std::string& place) const;
  // Of a configuration without `layer_norm_eps`.
  virtual double default_epsilon() const { return 1e-12; }
  // As which of its models one of this configuration is written.
  virtual const HfModel& written_model(const VisionTransformerConfig& config) const;
  // The fields of the model's MLP and tokens. Error: what they cannot say.
  virtual void add_fields(const VisionTransformerConfig& config, nlohmann::json& out) const;

 protected:
  void spell(const VisionTransformerConfig& config, Spelling& spelling) const final;
  // Bits of the generation that follow from the model.
  virtual void spell_model(const VisionTransformerConfig& config, Spelling& spelling) const;

 private:
  void check_tokens(const VisionTransformerConfig& config, const std::string& place) const;
};

// The names of all of them. kAgeBit is the module tree of transformers 5.9 and later, whose files
// keep the older names.
std::span<const NameRow> hf_rows();

// What config.json says. `place` names it. Errors: a field or value that Vitrail does not know, one
// that contradicts the tensors, and what Vitrail does not have.
void settle_from_hf(ConfigDraft& draft, const HfFamily& family, const nlohmann::json& config,
                    const std::string& place);

}  // namespace vitrail
