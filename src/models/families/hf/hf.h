// transformers' plain Vision Transformers: what their families have in common, with the ways of
// ViT, DeiT and DINOv2 where they differ; the others' are in the file of each. Towers of pictures
// beside one of texts (CLIP and its like) have hf_tower.h.
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
  bool is_left_out(std::string_view name) const override;

  void settle(ConfigDraft& draft, const FileReading& file) const final;
  const char* single_label_rule() const final { return "transformers' rule for 1 label"; }
  PositionResize position_resize(const VitConfig& config) const override;

  // A configuration of transformers may have any.
  double written_epsilon(const VitConfig& config) const final { return config.layer_norm_epsilon; }
  nlohmann::json config_for(const NetworkConfig& config, const ConversionOptions& options,
                            std::vector<std::string>& folds) const final;
  PreprocessKind preprocess_kind() const final { return PreprocessKind::hf; }
  const char* preprocess_file() const final { return "preprocessor_config.json"; }

  // ---- The family's own ----
  // The end of the patch embedding's name.
  virtual std::string_view patch_mark() const;
  // What says that a file is its own without a config.json, whose names begin with `prefix`; "":
  // nothing does. By default mark(), or the patch embedding where there is no mark.
  virtual std::string evidence(const FileEvidence& file, const std::string& prefix) const;
  // A part of tensors' names that no other family of transformers has; "": none.
  virtual std::string_view mark() const { return ""; }
  // What names and shapes do not say: how the head reads the tokens, and what of the tensors this
  // model does not run.
  virtual void settle_head(ConfigDraft& draft, const FileReading& file) const;
  // Fields of an encoder's configuration, beside those of every model of transformers.
  virtual std::vector<std::span<const FieldRule>> config_fields(const HfModel& model) const;
  // Those of a model of several towers, beside the towers.
  virtual std::span<const FieldRule> model_fields(const HfModel& model) const;
  // Whether a gated MLP is SwiGLU whatever `hidden_act` says.
  virtual bool has_fixed_gate() const { return true; }
  virtual const char* epsilon_key() const { return "layer_norm_eps"; }
  // Settles what this family's configuration says of more than every encoder's. Error: of MLP,
  // biases and tokens it says something else than the tensors.
  virtual void check_config(ConfigDraft& draft, const nlohmann::json& config,
                            const std::string& place) const;
  // Error: of the head's width the configuration says something else than the tensors.
  virtual void check_head(const ConfigDraft& draft, const nlohmann::json& config,
                          const std::string& place) const;
  // As which of its models one of this configuration is written, and what the name of its class
  // ends with: "Model", "ForImageClassification".
  virtual const HfModel& written_model(const VitConfig& config) const;
  virtual std::string written_class(const VitConfig& config) const;
  // The fields of the model's MLP, biases and tokens. Error: what they cannot say.
  virtual void add_fields(const VitConfig& config, nlohmann::json& out) const;
  // Those of a model of several towers, beside the one of pictures.
  virtual void add_model_fields(const VitConfig& config, nlohmann::json& out) const;

 protected:
  void spell(const VitConfig& config, Spelling& spelling) const override;
  // Bits of the generation that follow from the model.
  virtual void spell_model(const VitConfig& config, Spelling& spelling) const;

 private:
  void check_tokens(const VitConfig& config, const std::string& place) const;
};

// The names of all of them. kAgeBit is the module tree of transformers 5.9 and later, whose files
// keep the older names.
std::span<const NameRow> hf_rows();

// The convolution that makes pixels of tokens, in files of ...ForMaskedImageModeling.
bool is_hf_pixel_decoder(std::string_view name);

// What config.json says. `place` names it. Errors: a field or value that Vitrail does not know, one
// that contradicts the tensors, and what Vitrail does not have.
void settle_from_hf(ConfigDraft& draft, const HfFamily& family, const nlohmann::json& config,
                    const std::string& place);
// What the configurations of ViT, DeiT, DINOv2 and their like have in common.
std::span<const FieldRule> hf_encoder_fields();

}  // namespace vitrail
