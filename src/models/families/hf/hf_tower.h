// transformers' towers of pictures that stand beside one of texts: CLIP, OWL-ViT, SigLIP, BLIP.
// Their names are CLIP's, under "vision_model." where the file holds more than the tower. What
// stands beside it (the tower of texts, the temperature of their likeness) is not run.
//
// embed gives last_hidden_state as the library does, classify what the head says: the classes of a
// ...ForImageClassification, or the projection of ...WithProjection (image_embeds), whose answer is
// raw. Without a head the pooled vector is pooler_output.
#pragma once

#include "models/families/hf/hf.h"

namespace vitrail {

class HfTower : public HfFamily {
 public:
  std::string_view patch_mark() const override { return "embeddings.patch_embedding.weight"; }
  bool is_left_out(std::string_view name) const override;
  bool is_training_part(const Spelling&, std::string_view name) const override;
  void read_spelling(const FileEvidence& file, Spelling& spelling) const override;
  PositionResize position_resize(const VitConfig&) const override {
    return PositionResize::bicubic;
  }

  std::vector<std::span<const FieldRule>> config_fields(const HfModel& model) const override;
  std::span<const FieldRule> model_fields(const HfModel& model) const override;
  void check_config(ConfigDraft& draft, const nlohmann::json& config,
                    const std::string& place) const override;
  void add_fields(const VitConfig& config, nlohmann::json& out) const override;
  // What is trained from one of them has a head on the tower's own pooled vector, which none of its
  // classes has.
  std::vector<const Family*> classifier_forms() const override;

 protected:
  // Of a generation: a head named `classifier`, of the mean of the patches before any norm.
  static constexpr int kClassifier = 2;

  void spell(const VitConfig& config, Spelling& spelling) const override;
  // Whether the model is the library's ...ForImageClassification.
  virtual bool is_classifier(const VitConfig& config) const = 0;
};

// The names of all of them.
std::span<const NameRow> hf_tower_rows();

// Tokens and positions in the shapes of CLIP's and SigLIP's parameters: [D] and [N, D].
void flatten_tokens(ModelEdit& model);

}  // namespace vitrail
