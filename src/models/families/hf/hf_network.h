// HfNetwork: transformers' models other than plain Vision Transformers. config.json says the whole
// model; what it leaves out has the default of transformers' configuration class.
#pragma once

#include "models/families/hf/hf_models.h"
#include "models/families/network_family.h"

namespace vitrail {

class HfNetwork : public NetworkFamily, public TransformersModels {
 public:
  std::string_view group() const final { return "hf"; }
  const ConfigForm& config_form() const final;
  const char* single_label_rule() const final { return "transformers' rule for 1 label"; }
  // By config.json's model_type, or by the mark.
  std::optional<Claim> recognise(const FileEvidence& file) const override;
  std::string_view head() const override { return "head"; }

  nlohmann::json config_for(const NetworkConfig& config, const ConversionOptions& options,
                            std::vector<std::string>& folds) const final;
  PreprocessKind preprocess_kind() const final { return PreprocessKind::hf; }
  const char* preprocess_file() const final { return "preprocessor_config.json"; }

  // ---- The family's own ----
  // Fields of config.json beside those of every model, as a closed list.
  virtual std::span<const FieldRule> config_fields() const = 0;
  // The model that config.json describes. Error: a value that Vitrail does not implement.
  virtual NetworkConfig from_config(const nlohmann::json& config,
                                    const std::string& place) const = 0;
  // The fields that describe this model.
  virtual nlohmann::json to_config(const NetworkConfig& config) const = 0;
  // The class of a classifier and of a model without a head.
  virtual std::string classifier_class(const NetworkConfig& config) const;
  virtual std::string base_class(const NetworkConfig& config) const;

 protected:
  NetworkDraft begin(const FileReading& file) const final;
  void settle(NetworkDraft& draft, const FileReading& file) const final;
};

}  // namespace vitrail
