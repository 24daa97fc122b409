// What SigLIP and SigLIP 2 have in common: no class token, a pooled vector by attention of a
// learned query over the patches, and a classifier that reads the mean of the patches instead. Its
// models are the tower alone and, second, the one of two towers.
#pragma once

#include "models/families/hf/hf_tower.h"

namespace vitrail {

class HfSiglipTower : public HfTower {
 public:
  bool is_left_out(std::string_view name) const override;
  NameTables tables(const Spelling& spelling) const override;
  std::vector<std::span<const FieldRule>> config_fields(const HfModel& model) const override;
  void settle_head(ConfigDraft& draft, const FileReading& file) const override;
  void check_config(ConfigDraft& draft, const nlohmann::json& config,
                    const std::string& place) const override;
  const HfModel& written_model(const VitConfig& config) const override;
  void add_fields(const VitConfig& config, nlohmann::json& out) const override;
  void add_model_fields(const VitConfig& config, nlohmann::json& out) const override;
  void express_head(ModelEdit& model) const override;

 protected:
  bool is_classifier(const VitConfig& config) const override { return config.num_classes > 0; }
};

}  // namespace vitrail
