#include "models/families/hf/hf.h"

#include <algorithm>

#include "core/error.h"
#include "core/printable.h"
#include "models/families/reading/matching.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr NameRow kHfRows[] = {
    {"cls_token", {"@embeddings.cls_token"}},
    {"dist_token", {"@embeddings.distillation_token"}},
    {"reg_token", {"@embeddings.register_tokens"}},
    {"mask_token", {"@embeddings.mask_token"}},
    {"pos_embed", {"@embeddings.position_embeddings"}},
    {"patch_embed.proj", {"@embeddings.patch_embeddings.projection"}},
    {"blocks.#.norm1", {"@encoder.layer.#.layernorm_before", "@layers.#.layernorm_before"}},
    {"blocks.#.attn.qkv",
     {"@encoder.layer.#.attention.attention.query+@encoder.layer.#.attention.attention.key+"
      "@encoder.layer.#.attention.attention.value",
      "@layers.#.attention.q_proj+@layers.#.attention.k_proj+@layers.#.attention.v_proj"}},
    {"blocks.#.attn.proj",
     {"@encoder.layer.#.attention.output.dense", "@layers.#.attention.o_proj"}},
    {"blocks.#.norm2", {"@encoder.layer.#.layernorm_after", "@layers.#.layernorm_after"}},
    {"blocks.#.mlp.fc1", {"@encoder.layer.#.intermediate.dense", "@layers.#.mlp.fc1"}},
    {"blocks.#.mlp.fc2", {"@encoder.layer.#.output.dense", "@layers.#.mlp.fc2"}},
    {"norm", {"@layernorm"}},
    {"head", {"classifier"}},
};

// Pooler and decoder (of masked pictures) are not run.
constexpr FieldRule kHfVitFields[] = {
    {"intermediate_size"},
    {"encoder_stride", FieldRule::kNumber},
    {"pooler_output_size", FieldRule::kNumber},
    {"pooler_act", FieldRule::kOnly, R"(["tanh"])"},
};

}  // namespace

std::span<const NameRow> hf_rows() {
  return kHfRows;
}

bool is_hf_pixel_decoder(std::string_view name) {
  return name == "decoder.0.weight" || name == "decoder.0.bias";
}

const ConfigForm& HfFamily::config_form() const {
  return transformers_form();
}

std::string_view HfFamily::patch_mark() const {
  return "embeddings.patch_embeddings.projection.weight";
}

std::optional<Claim> HfFamily::recognise(const FileEvidence& file) const {
  const auto prefix = file.prefix_before(patch_mark());
  if (!prefix) return std::nullopt;
  if (file.has_form(transformers_form())) {
    const auto said = file.config().find("model_type");
    if (said == file.config().end() || !said->is_string()) return std::nullopt;
    const auto type = said->get<std::string>();
    if (std::ranges::find(hf_models(), type, &HfModel::type) == hf_models().end())
      return std::nullopt;
    return Claim{*prefix, "config.json's model_type " + type, true};
  }
  std::string because = evidence(file, *prefix);
  if (because.empty()) return std::nullopt;
  return Claim{*prefix, std::move(because)};
}

std::string HfFamily::evidence(const FileEvidence& file, const std::string& prefix) const {
  if (mark().empty()) return prefix + std::string(patch_mark());
  return file.any_name_contains(mark()) ? std::string(mark()) : "";
}

void HfFamily::read_spelling(const FileEvidence& file, Spelling& s) const {
  if (file.any_name_contains(".attention.q_proj.") || file.any_name_contains(".gate_proj."))
    s.generation |= kAgeBit;
}

bool HfFamily::is_left_out(std::string_view name) const {
  return name == "embeddings.mask_token" || name == "pooler.dense.weight" ||
         name == "pooler.dense.bias";
}

void HfFamily::spell(const C& config, Spelling& s) const {
  // A model without a head is a class of its own, whose files have no prefix.
  if (config.num_classes > 0) {
    const HfModel& model = written_model(config);
    s.prefix = model.prefix.empty() ? std::string(model.type) + "." : std::string(model.prefix);
  }
  spell_model(config, s);
}

void HfFamily::spell_model(const C&, Spelling&) const {}

// The tokens that transformers' classes have, whatever their config says.
void HfFamily::check_tokens(const C& c, const std::string& place) const {
  const Expressible& can = expressible();
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds) fail("family", "{}: {}, unlike every {} model", place, what, name());
  };
  const auto require_presence = [&](Expressible::Presence presence, bool there,
                                    const std::string& what) {
    require(there || presence != Expressible::kAlways, "has no " + what);
    require(!there || presence != Expressible::kNever, "has " + what);
  };
  require_presence(can.class_token, c.tokens.class_token, "class token");
  require_presence(can.distillation_token, c.tokens.distillation_token, "distillation token");
  require(can.register_tokens || c.tokens.register_tokens == 0, "has register tokens");
  require(can.no_positions || c.position.kind == Position::learned, "has no positions");
  require_presence(can.layer_scale, c.block.layer_scale, "LayerScale");
}

void HfFamily::settle(ConfigDraft& draft, const FileReading& file) const {
  C& c = draft.config;
  check_tokens(c, file.tensors.place());
  settle_head(draft, file);
  if (c.block.mlp.kind != MlpKind::plain && has_fixed_gate())
    draft.settle("activation", draft.config.block.mlp.activation, Activation::silu, every_model());
  c.patches.drop_partial = true;
  c.position.resize = position_resize(c);
  if (file.has_config()) settle_from_hf(draft, *this, file.files.config, file.files.config_name);
  refuse_architecture(draft, *this);
  if (!file.files.preprocessor.is_null())
    draft.add_preprocess(PreprocessKind::hf, file.files.preprocessor, preprocess_file());
}

void HfFamily::settle_head(ConfigDraft& draft, const FileReading&) const {
  draft.settle("pooling", draft.config.head.pooling, Pooling::class_token, every_model());
}

PositionResize HfFamily::position_resize(const C& c) const {
  return c.tokens.register_tokens > 0 ? PositionResize::bicubic_antialias : PositionResize::bicubic;
}

std::vector<std::span<const FieldRule>> HfFamily::config_fields(const HfModel&) const {
  return {hf_encoder_fields(), kHfVitFields};
}

std::span<const FieldRule> HfFamily::model_fields(const HfModel&) const {
  return {};
}

void HfFamily::check_config(ConfigDraft& draft, const nlohmann::json& config,
                            const std::string& place) const {
  agree_with_tensors(config, "qkv_bias", draft.config.block.attention.qkv_bias, place);
  agree_with_tensors(config, "intermediate_size", draft.config.block.mlp.hidden, place);
}

void HfFamily::check_head(const ConfigDraft& draft, const nlohmann::json& config,
                          const std::string& place) const {
  const int64_t classes = draft.config.num_classes;
  if (classes > 0) agree_with_tensors(config, "num_labels", classes, place);
}

const HfModel& HfFamily::written_model(const C&) const {
  return hf_models().front();
}

std::string HfFamily::written_class(const C& c) const {
  if (c.num_classes == 0) return "Model";
  return c.head.pooling == Pooling::distilled ? "ForImageClassificationWithTeacher"
                                              : "ForImageClassification";
}

void HfFamily::add_fields(const C& c, nlohmann::json& out) const {
  out["intermediate_size"] = c.mlp_hidden();
  out["qkv_bias"] = c.block.attention.qkv_bias;
  out["hidden_dropout_prob"] = 0.0;
  out["attention_probs_dropout_prob"] = 0.0;
  if (c.block.attention.num_heads * c.head_size() != c.embed_dim) out["head_dim"] = c.head_size();
}

void HfFamily::add_model_fields(const C&, nlohmann::json&) const {}

}  // namespace vitrail
