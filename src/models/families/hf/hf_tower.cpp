#include "models/families/hf/hf_tower.h"

#include <algorithm>
#include <array>

#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr NameRow kHfTowerRows[] = {
    {"cls_token", {"@embeddings.class_embedding"}},
    {"pos_embed", {"@embeddings.position_embedding.weight"}},
    {"patch_embed.proj", {"@embeddings.patch_embedding"}},
    {"blocks.#.norm1", {"@encoder.layers.#.layer_norm1"}},
    {"blocks.#.attn.qkv",
     {"@encoder.layers.#.self_attn.q_proj+@encoder.layers.#.self_attn.k_proj+"
      "@encoder.layers.#.self_attn.v_proj"}},
    {"blocks.#.attn.proj", {"@encoder.layers.#.self_attn.out_proj"}},
    {"blocks.#.norm2", {"@encoder.layers.#.layer_norm2"}},
    {"blocks.#.mlp.fc1", {"@encoder.layers.#.mlp.fc1"}},
    {"blocks.#.mlp.fc2", {"@encoder.layers.#.mlp.fc2"}},
};

// CLIPVisionConfig's, SiglipVisionConfig's and so on.
constexpr FieldRule kHfTowerFields[] = {
    {"hidden_size"},
    {"intermediate_size"},
    {"num_hidden_layers"},
    {"num_attention_heads"},
    {"num_channels"},
    {"image_size"},
    {"patch_size"},
    {"hidden_act"},
    {"layer_norm_eps"},
    {"attention_dropout", FieldRule::kNumber},
    {"dropout", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
    {"initializer_factor", FieldRule::kNumber},
    {"projection_dim"},
};

// CLIPConfig's, SiglipConfig's and so on. What they say of texts is not looked at.
constexpr FieldRule kHfTwoTowers[] = {
    {"vision_config"},
    {"text_config", FieldRule::kIdle},
    {"vision_config_dict", FieldRule::kIdle},
    {"text_config_dict", FieldRule::kIdle},
    {"projection_dim"},
    {"logit_scale_init_value", FieldRule::kNumber},
    {"initializer_factor", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
};

// What transformers' models of pictures and texts have beside the tower of pictures.
constexpr std::string_view kBesideTowers[] = {"text_model.", "text_projection."};
constexpr std::string_view kLikeness[] = {"logit_scale", "logit_bias"};

}  // namespace

std::span<const NameRow> hf_tower_rows() {
  return kHfTowerRows;
}

void flatten_tokens(ModelEdit& model) {
  const int64_t dim = model.config.embed_dim;
  if (model.config.tokens.class_token) model.at("cls_token") = model.at("cls_token").reshape({dim});
  Tensor& positions = model.at("pos_embed");
  positions = positions.reshape({positions.numel() / dim, dim});
}

bool HfTower::is_left_out(std::string_view name) const {
  // Numbers from 0 on, which older files hold beside the table.
  return name == "embeddings.position_ids";
}

bool HfTower::is_training_part(const Spelling&, std::string_view name) const {
  return std::ranges::find(kLikeness, name) != std::end(kLikeness) ||
         std::ranges::any_of(kBesideTowers,
                             [&](std::string_view part) { return name.starts_with(part); });
}

void HfTower::read_spelling(const FileEvidence& file, Spelling& s) const {
  if (file.tensors().contains("classifier.weight")) s.generation |= kClassifier;
}

void HfTower::spell(const C& config, Spelling& s) const {
  if (is_classifier(config)) s.generation |= kClassifier;
  if (config.num_classes > 0) s.prefix = "vision_model.";
}

std::vector<std::span<const FieldRule>> HfTower::config_fields(const HfModel&) const {
  return {kHfTowerFields};
}

std::span<const FieldRule> HfTower::model_fields(const HfModel&) const {
  return kHfTwoTowers;
}

void HfTower::check_config(ConfigDraft& draft, const nlohmann::json& config,
                           const std::string& place) const {
  agree_with_tensors(config, "intermediate_size", draft.config.block.mlp.hidden, place);
}

void HfTower::add_fields(const C& c, nlohmann::json& out) const {
  out["intermediate_size"] = c.mlp_hidden();
  out["attention_dropout"] = 0.0;
}

std::vector<const Family*> HfTower::classifier_forms() const {
  return {timm_family(), own_family()};
}

}  // namespace vitrail
