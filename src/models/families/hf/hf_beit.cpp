// transformers' BEiT (Bao et al. 2022) and Data2VecVision (Baevski et al. 2022), which are one
// network: positions relative, in every block or one table for all, or added; no bias of k; a head
// on the normed mean of the patches, or on the class token.
#include <array>

#include "core/error.h"
#include "formats/json.h"
#include "models/families/hf/hf.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr NameRow kHfBeit[] = {
    {"blocks.#.attn.qkv.weight",
     {"@encoder.layer.#.attention.attention.query.weight+"
      "@encoder.layer.#.attention.attention.key.weight+"
      "@encoder.layer.#.attention.attention.value.weight",
      "@layers.#.attention.q_proj.weight+@layers.#.attention.k_proj.weight+"
      "@layers.#.attention.v_proj.weight"}},
    {"blocks.#.attn.q_bias",
     {"@encoder.layer.#.attention.attention.query.bias", "@layers.#.attention.q_proj.bias"}},
    {"blocks.#.attn.v_bias",
     {"@encoder.layer.#.attention.attention.value.bias", "@layers.#.attention.v_proj.bias"}},
    {"blocks.#.attn.relative_position_bias_table",
     {"@encoder.layer.#.attention.attention.relative_position_bias.relative_position_bias_table",
      "@layers.#.relative_position_bias.relative_position_bias_table"}},
    {"rel_pos_bias.relative_position_bias_table",
     {"@encoder.relative_position_bias.relative_position_bias_table",
      "@shared_position_bias.relative_position_bias_table"}},
    {"blocks.#.ls1.gamma", {"@encoder.layer.#.lambda_1", "@layers.#.lambda_1"}},
    {"blocks.#.ls2.gamma", {"@encoder.layer.#.lambda_2", "@layers.#.lambda_2"}},
    {"fc_norm", {"@pooler.layernorm"}},
};

constexpr FieldRule kHfBeitFields[] = {
    {"intermediate_size"},
    {"use_mask_token", FieldRule::kFlag},
    {"use_absolute_position_embeddings"},
    {"use_relative_position_bias"},
    {"use_shared_relative_position_bias"},
    {"use_mean_pooling"},
    {"layer_scale_init_value"},
    {"drop_path_rate", FieldRule::kNumber},
    {"vocab_size", FieldRule::kNumber},
    // Of backbones and of heads that segment, which are not run.
    {"pool_scales", FieldRule::kIdle},
    {"use_auxiliary_head", FieldRule::kFlag},
    {"auxiliary_loss_weight", FieldRule::kNumber},
    {"auxiliary_channels", FieldRule::kNumber},
    {"auxiliary_num_convs", FieldRule::kNumber},
    {"auxiliary_concat_input", FieldRule::kFlag},
    {"semantic_loss_ignore_index", FieldRule::kNumber},
    {"add_fpn", FieldRule::kFlag},
    {"reshape_hidden_states", FieldRule::kFlag},
    {"segmentation_indices", FieldRule::kIdle},
    {"out_features", FieldRule::kIdle},
    {"out_indices", FieldRule::kIdle},
    {"_out_features", FieldRule::kIdle},
    {"_out_indices", FieldRule::kIdle},
    {"stage_names", FieldRule::kIdle},
};

// What the two call themselves.
struct HfBeitNames {
  const char* family;
  const char* models;
  std::array<HfModel, 1> model;
  std::span<const std::string_view> architectures, classes;
};
constexpr std::string_view kHfBeitArchitectures[] = {"BeitModel", "BeitForImageClassification",
                                                     "BeitForMaskedImageModeling"};
constexpr std::string_view kHfBeitClasses[] = {
    "transformers.models.beit.modeling_beit.BeitModel",
    "transformers.models.beit.modeling_beit.BeitForImageClassification",
};
constexpr std::string_view kData2VecArchitectures[] = {"Data2VecVisionModel",
                                                       "Data2VecVisionForImageClassification"};
constexpr std::string_view kData2VecClasses[] = {
    "transformers.models.data2vec.modeling_data2vec_vision.Data2VecVisionModel",
    "transformers.models.data2vec.modeling_data2vec_vision.Data2VecVisionForImageClassification",
};
constexpr std::string_view kData2VecPrefix = "data2vec_vision.";
constexpr HfBeitNames kHfBeitNames = {.family = "hf_beit",
                                      .models = "transformers' BEiT",
                                      .model = {HfModel{.type = "beit", .stem = "Beit"}},
                                      .architectures = kHfBeitArchitectures,
                                      .classes = kHfBeitClasses};
constexpr HfBeitNames kData2VecNames = {
    .family = "hf_data2vec",
    .models = "transformers' Data2VecVision",
    .model = {HfModel{
        .type = "data2vec-vision", .stem = "Data2VecVision", .prefix = kData2VecPrefix}},
    .architectures = kData2VecArchitectures,
    .classes = kData2VecClasses};
constexpr Expressible kHfBeitExpressible = {.layer_scale = Expressible::kOptional,
                                            .qkv_bias = Expressible::kAlways,
                                            .final_norm = Expressible::kOneOfTwo,
                                            .any_head_size = true,
                                            .any_activation = true,
                                            .no_positions = true,
                                            .relative_table = true,
                                            .no_key_bias = true,
                                            .with_key_bias = false};

class HfBeitFamily : public HfFamily {
 public:
  explicit HfBeitFamily(const HfBeitNames& names) : names_(names) {}
  const char* name() const override { return names_.family; }
  const char* models() const override { return names_.models; }
  std::span<const HfModel> hf_models() const override { return names_.model; }
  std::span<const std::string_view> architectures() const override { return names_.architectures; }
  std::span<const std::string_view> module_classes() const override { return names_.classes; }
  const Family* refines() const override { return hf_vit_family(); }
  // Of a block, a bias of q and none of k. Without a prefix the two have the same names.
  std::string evidence(const FileEvidence& file, const std::string& prefix) const override {
    if (prefix.ends_with(kData2VecPrefix) != is_data2vec()) return "";
    const auto has = [&](const std::string& name) { return file.tensors().contains(name); };
    const std::string older = prefix + "encoder.layer.0.attention.attention.",
                      newer = prefix + "layers.0.attention.";
    if (has(older + "query.bias") && !has(older + "key.bias")) return older + "query.bias";
    return has(newer + "q_proj.bias") && !has(newer + "k_proj.bias") ? newer + "q_proj.bias" : "";
  }
  bool suits(const NetworkConfig& config) const override {
    const auto* vit = config.get_if<C>();
    return vit != nullptr && !is_data2vec() && vit->relative.has_table() &&
           vit->relative.table.prefix_has_entries;
  }

  // What is computed from the grid, in files of before.
  bool is_left_out(std::string_view name) const override {
    return HfFamily::is_left_out(name) || name.ends_with(".relative_position_index");
  }
  // What tells the words of masked patches.
  bool is_training_part(const Spelling& s, std::string_view name) const override {
    return name.starts_with("lm_head.") || (!s.prefix.empty() && name.starts_with("layernorm."));
  }

  NameTables tables(const Spelling& s) const override {
    return {{kHfBeit, hf_rows()}, s.generation & kAgeBit, false};
  }
  void settle_head(ConfigDraft& draft, const FileReading&) const override {
    C& c = draft.config;
    c.relative.table.resize = relative_resize();
    draft.settle("pooling", draft.config.head.pooling,
                 c.final_norm ? Pooling::class_token : Pooling::mean, "names");
  }
  RelativeResize relative_resize() const override { return RelativeResize::bilinear; }

  std::vector<std::span<const FieldRule>> config_fields(const HfModel&) const override {
    return {hf_encoder_fields(), kHfBeitFields};
  }
  void check_config(ConfigDraft& draft, const nlohmann::json& config,
                    const std::string& place) const override {
    const C& c = draft.config;
    const auto table = [](RelativePosition kind) { return kind == RelativePosition::table; };
    agree_with_tensors(config, "qkv_bias", c.block.attention.qkv_bias, place);
    agree_with_tensors(config, "intermediate_size", c.block.mlp.hidden, place);
    agree_with_tensors(config, "use_absolute_position_embeddings",
                       c.position.kind == Position::learned, place);
    agree_with_tensors(config, "use_relative_position_bias", table(c.relative.per_block), place);
    agree_with_tensors(config, "use_shared_relative_position_bias", table(c.relative.shared),
                       place);
    agree_with_tensors(config, "use_mean_pooling", !c.final_norm, place);
    if (const auto init = get_optional<double>(config, "layer_scale_init_value", place);
        init && (*init > 0) != c.block.layer_scale)
      fail("transformers", "{}: layer_scale_init_value is {}, but the tensors have {} LayerScale",
           place, *init, c.block.layer_scale ? "a" : "no");
    // There the library reads the table's rows in another order than it has written them.
    if (const auto size = config.find("image_size");
        c.relative.has_table() && size != config.end() && size->is_array() && size->size() == 2 &&
        size->front() != size->back())
      fail(ErrorCode::unsupported, "transformers",
           "{}: image_size is not square, which goes with no relative positions here", place);
  }
  void add_fields(const C& c, nlohmann::json& out) const override {
    HfFamily::add_fields(c, out);
    out.erase("qkv_bias");
    out["use_absolute_position_embeddings"] = c.position.kind == Position::learned;
    out["use_relative_position_bias"] = c.relative.per_block == RelativePosition::table;
    out["use_shared_relative_position_bias"] = c.relative.shared == RelativePosition::table;
    out["use_mean_pooling"] = !c.final_norm;
    out["layer_scale_init_value"] = c.block.layer_scale ? c.block.layer_scale_init : 0.0;
    out["drop_path_rate"] = 0.0;
  }

  const Expressible& expressible() const override { return kHfBeitExpressible; }
  void express_head(ModelEdit& model) const override {
    const C& c = model.config;
    model.require(c.head.pooling == (c.final_norm ? Pooling::class_token : Pooling::mean),
                  "any pooling but the class token's behind a norm of all tokens, or the mean of "
                  "patches before a norm");
    model.require(!c.relative.has_table() || c.relative.table.prefix_has_entries,
                  "relative positions without entries for the class token");
  }

 private:
  bool is_data2vec() const { return &names_ == &kData2VecNames; }
  const HfBeitNames& names_;
};

}  // namespace

const Family* hf_beit_family() {
  static const HfBeitFamily family(kHfBeitNames);
  return &family;
}

const Family* hf_data2vec_family() {
  static const HfBeitFamily family(kData2VecNames);
  return &family;
}

}  // namespace vitrail
