// TimmVariant: what the families have in common that are timm's other constructors of plain Vision
// Transformers: Eva, Beit, VisionTransformerRelPos.
#pragma once

#include "models/families/timm/timm_constructor.h"
#include "models/families/vit_family.h"

namespace vitrail {

class TimmVariant : public VitFamily {
 public:
  // `constructor` outlives it.
  explicit TimmVariant(const TimmConstructor& constructor) : constructor_(constructor) {}

  std::string_view group() const override { return "timm"; }
  bool suits(const NetworkConfig& config) const final;
  const ConfigForm& config_form() const override;
  std::optional<Claim> recognise(const FileEvidence& file) const final;
  const Family* refines() const override;

  void settle(ConfigDraft& draft, const FileReading& file) const final;
  std::vector<int64_t> position_prefixes(const VitConfig& config) const override;
  void settle_partial_patches(ConfigDraft& draft) const override;
  PositionResize position_resize(const VitConfig&) const override {
    return PositionResize::bicubic_antialias;
  }
  double written_epsilon(const VitConfig&) const override { return 1e-6; }
  nlohmann::json config_for(const NetworkConfig& config, const ConversionOptions& options,
                            std::vector<std::string>& folds) const override;
  PreprocessKind preprocess_kind() const override { return PreprocessKind::timm; }

 protected:
  // Whether a model of this configuration is written as one of the family's.
  virtual bool is_own(const VitConfig& config) const = 0;
  // A tensor that says without a configuration that a file is the family's, by its name; "": there
  // is none.
  virtual std::string mark(const FileEvidence& file, const std::string& prefix) const = 0;
  // What every model of the family has.
  virtual void settle_always(ConfigDraft& draft) const = 0;
  // What names say where no definition did.
  virtual void settle_by_names(ConfigDraft&) const {}
  // The definition to start from and the arguments that make this model of it.
  struct Written {
    std::string architecture;
    nlohmann::json arguments;
  };
  virtual Written written(const VitConfig& config) const = 0;

 private:
  const TimmConstructor& constructor_;
};

// The arguments that all three constructors take.
nlohmann::json common_timm_arguments(const VitConfig& config);

}  // namespace vitrail
