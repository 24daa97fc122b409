// What the towers of pictures of CLIP and OWL-ViT have in common: their class token's norm behind
// the blocks, a projection of it, and a classifier of the patches' mean.
#pragma once

#include "models/families/hf/hf_tower.h"

namespace vitrail {

class HfClipTower : public HfTower {
 public:
  bool is_left_out(std::string_view name) const override;
  void settle_head(ConfigDraft& draft, const FileReading& file) const override;
  void check_head(const ConfigDraft& draft, const nlohmann::json& config,
                  const std::string& place) const override;
  void express_head(ModelEdit& model) const override;

 protected:
  bool is_classifier(const VitConfig& config) const override;

 private:
  static void add_unread_norm(ModelEdit& model);
};

}  // namespace vitrail
