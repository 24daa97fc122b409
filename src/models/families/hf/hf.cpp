#include "models/families/hf/hf.h"

#include <algorithm>

#include "core/error.h"
#include "core/printable.h"
#include "models/families/reading/matching.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VisionTransformerConfig;

constexpr std::string_view kHfMark = "embeddings.patch_embeddings.projection.weight";

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

const ConfigForm& HfFamily::config_form() const {
  return transformers_form();
}

std::optional<Claim> HfFamily::recognise(const FileEvidence& file) const {
  const auto prefix = file.prefix_before(kHfMark);
  if (!prefix) return std::nullopt;
  if (file.has_form(transformers_form())) {
    const auto said = file.config().find("model_type");
    if (said == file.config().end() || !said->is_string()) return std::nullopt;
    const auto type = said->get<std::string>();
    if (std::ranges::find(hf_models(), type, &HfModel::type) == hf_models().end())
      return std::nullopt;
    return Claim{*prefix, "config.json's model_type " + type, true};
  }
  if (!mark().empty() && !file.any_name_contains(mark())) return std::nullopt;
  return Claim{*prefix, mark().empty() ? *prefix + std::string(kHfMark) : std::string(mark())};
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
  if (config.num_classes > 0) s.prefix = std::string(written_model(config).type) + ".";
  spell_model(config, s);
}

void HfFamily::spell_model(const C&, Spelling&) const {}

// The tokens that transformers' classes have, whatever their config says.
void HfFamily::check_tokens(const C& c, const std::string& place) const {
  const Expressible& can = expressible();
  const bool distilled = can.distillation_token == Expressible::kAlways;
  const bool scaled = can.layer_scale == Expressible::kAlways;
  const auto require = [&](bool holds, const char* what) {
    if (!holds) fail("family", "{}: {}, unlike every {} model", place, what, name());
  };
  require(c.class_token, "has no class token");
  require(c.distillation_token == distilled,
          distilled ? "has no distillation token" : "has a distillation token");
  require(can.register_tokens || c.register_tokens == 0, "has register tokens");
  require(c.position == Position::learned, "has no positions");
  require(c.layer_scale == scaled, scaled ? "has no LayerScale" : "has LayerScale");
}

void HfFamily::settle(ConfigDraft& draft, const FileReading& file) const {
  C& c = draft.config;
  check_tokens(c, file.tensors.place());
  draft.settle("pooling", &C::pooling, Pooling::class_token, every_model());
  if (c.mlp != MlpKind::plain)
    draft.settle("activation", &C::activation, Activation::silu, every_model());
  c.drop_partial_patches = true;
  c.position_resize = position_resize(c);
  if (file.has_config()) settle_from_hf(draft, *this, file.files.config, file.files.config_name);
  refuse_architecture(draft, *this);
  if (!file.files.preprocessor.is_null())
    draft.add_preprocess(PreprocessKind::hf, file.files.preprocessor, preprocess_file());
}

PositionResize HfFamily::position_resize(const C& c) const {
  return c.register_tokens > 0 ? PositionResize::bicubic_antialias : PositionResize::bicubic;
}

std::vector<std::span<const FieldRule>> HfFamily::config_fields(const HfModel&) const {
  return {kHfVitFields};
}

void HfFamily::check_config(const ConfigDraft& draft, const nlohmann::json& config,
                            const std::string& place) const {
  agree_with_tensors(config, "intermediate_size", draft.config.mlp_hidden_dim, place);
}

const HfModel& HfFamily::written_model(const C&) const {
  return hf_models().front();
}

void HfFamily::add_fields(const C& c, nlohmann::json& out) const {
  out["intermediate_size"] = c.mlp_hidden();
}

}  // namespace vitrail
