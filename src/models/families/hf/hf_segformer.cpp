// transformers' SegFormer: its encoder (MiT), which is a PVT v2 with other numbers, alone and with
// a classifier. Files with the decode head of semantic segmentation, whose answer is a map of
// classes, are refused.
#include "models/backbones/pvt_v2.h"
#include "models/families/hf/hf_pyramid.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr HfModel kHfSegformer[] = {{"segformer", "Segformer"}};
constexpr std::string_view kHfSegformerArchitectures[] = {"SegformerModel",
                                                          "SegformerForImageClassification"};
// Of files, and of the module tree of transformers 5.9 and later.
constexpr std::string_view kHfSegformerMark = "encoder.block.0.0.mlp.dwconv.dwconv.weight";
constexpr std::string_view kHfSegformerNewerMark = "stages.0.blocks.0.mlp.dwconv.dwconv.weight";

constexpr NameRow kHfSegformerRows[] = {
    {"patch_embed.proj", {"@encoder.patch_embeddings.0.proj", "@stages.0.patch_embeddings.proj"}},
    {"patch_embed.norm",
     {"@encoder.patch_embeddings.0.layer_norm", "@stages.0.patch_embeddings.layer_norm"}},
    {"stages.#.downsample.proj",
     {"@encoder.patch_embeddings.#.proj", "@stages.#.patch_embeddings.proj"}},
    {"stages.#.downsample.norm",
     {"@encoder.patch_embeddings.#.layer_norm", "@stages.#.patch_embeddings.layer_norm"}},
    {"stages.#.blocks.#.norm1",
     {"@encoder.block.#.#.layer_norm_1", "@stages.#.blocks.#.layernorm_before"}},
    {"stages.#.blocks.#.attn.q",
     {"@encoder.block.#.#.attention.self.query", "@stages.#.blocks.#.attention.q_proj"}},
    {"stages.#.blocks.#.attn.kv",
     {"@encoder.block.#.#.attention.self.key+@encoder.block.#.#.attention.self.value",
      "@stages.#.blocks.#.attention.k_proj+@stages.#.blocks.#.attention.v_proj"}},
    {"stages.#.blocks.#.attn.sr",
     {"@encoder.block.#.#.attention.self.sr",
      "@stages.#.blocks.#.attention.sequence_reduction.sequence_reduction"}},
    {"stages.#.blocks.#.attn.norm",
     {"@encoder.block.#.#.attention.self.layer_norm",
      "@stages.#.blocks.#.attention.sequence_reduction.layer_norm"}},
    {"stages.#.blocks.#.attn.proj",
     {"@encoder.block.#.#.attention.output.dense", "@stages.#.blocks.#.attention.o_proj"}},
    {"stages.#.blocks.#.norm2",
     {"@encoder.block.#.#.layer_norm_2", "@stages.#.blocks.#.layernorm_after"}},
    {"stages.#.blocks.#.mlp.fc1", {"@encoder.block.#.#.mlp.dense1", "@stages.#.blocks.#.mlp.fc1"}},
    {"stages.#.blocks.#.mlp.dwconv",
     {"@encoder.block.#.#.mlp.dwconv.dwconv", "@stages.#.blocks.#.mlp.dwconv.dwconv"}},
    {"stages.#.blocks.#.mlp.fc2", {"@encoder.block.#.#.mlp.dense2", "@stages.#.blocks.#.mlp.fc2"}},
    {"stages.#.norm", {"@encoder.layer_norm.#", "@stages.#.layer_norm"}},
    {"head", {"classifier"}},
};

// layer_norm_eps is a field that no layer of the library reads: all have torch's epsilon.
constexpr FieldRule kHfSegformerFields[] = {
    {"image_size", FieldRule::kIdle},  // of older files; pictures of any size are taken
    {"num_channels"},
    {"num_encoder_blocks"},
    {"depths"},
    {"sr_ratios"},
    {"hidden_sizes"},
    {"patch_sizes"},
    {"strides"},
    {"num_attention_heads"},
    {"mlp_ratios"},
    {"hidden_act"},
    {"layer_norm_eps", FieldRule::kNumber},
    {"downsampling_rates", FieldRule::kIdle},
    {"reshape_last_stage", FieldRule::kFlag},  // of the tensor that the library hands out
    {"decoder_hidden_size", FieldRule::kNumber},
    {"semantic_loss_ignore_index", FieldRule::kNumber},
    {"hidden_dropout_prob", FieldRule::kNumber},
    {"attention_probs_dropout_prob", FieldRule::kNumber},
    {"classifier_dropout_prob", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
};

const HfPyramid kHfSegformerForm{
    .family = "hf_segformer", .reductions = "sr_ratios", .mlp_ratios = {4, 4, 4, 4}};

class HfSegformerFamily : public HfNetwork {
 public:
  const char* name() const override { return "hf_segformer"; }
  const char* models() const override { return "transformers' SegFormer encoders"; }
  std::string_view network() const override { return PvtV2Config::kType; }
  std::string_view mark() const override { return kHfSegformerMark; }
  std::span<const HfModel> hf_models() const override { return kHfSegformer; }
  std::span<const std::string_view> architectures() const override {
    return kHfSegformerArchitectures;
  }
  // Of the type's two families the other is PVT v2's own.
  bool suits(const NetworkConfig&) const override { return false; }

  std::optional<Claim> recognise(const FileEvidence& file) const override {
    if (file.any_name_contains("decode_head.linear_") && file.has_form(config_form()))
      fail(ErrorCode::unsupported, "family",
           "this is a SegFormer with a decode head, whose answer is a map of classes, which "
           "Vitrail does not implement; SegformerModel and SegformerForImageClassification are");
    if (auto claim = HfNetwork::recognise(file)) return claim;
    const auto prefix = file.prefix_before(kHfSegformerNewerMark);
    if (!prefix || !file.any_name_contains(".attention.q_proj.")) return std::nullopt;
    if (!file.has_form(config_form()))
      return Claim{*prefix, *prefix + std::string(kHfSegformerNewerMark)};
    if (file.config().value("model_type", nlohmann::json()) != std::string(kHfSegformer[0].type))
      return std::nullopt;
    return Claim{*prefix, "config.json's model_type segformer", true};
  }
  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    if (file.tensors().contains(s.prefix + std::string(kHfSegformerNewerMark)))
      s.generation |= kAgeBit;
  }
  NameTables tables(const Spelling& s) const override {
    return {{kHfSegformerRows}, s.generation & kAgeBit, false};
  }
  Spelling spelling_for(const NetworkConfig& config) const override {
    return {.prefix = config.class_answer().classes > 0 ? "segformer." : ""};
  }

  std::span<const FieldRule> config_fields() const override { return kHfSegformerFields; }
  NetworkConfig from_config(const nlohmann::json& in, const std::string& place) const override {
    PvtV2Config c;
    c.layer_norm_epsilon = c.inner_norm_epsilon = 1e-5;
    c.depths = {2, 2, 2, 2};
    c.embed_dims = {32, 64, 160, 256};
    read_hf_pyramid(in, place, kHfSegformerForm, &c);
    read_hf_field(in, "strides", place, &c.strides);
    return c;
  }
  nlohmann::json to_config(const NetworkConfig& network) const override {
    const PvtV2Config& c = *network.get_if<PvtV2Config>();
    nlohmann::json out = hf_pyramid_json(c, kHfSegformerForm);
    out["strides"] = c.strides;
    return out;
  }
  void check_expressible(const NetworkConfig& network) const override {
    const PvtV2Config& c = *network.get_if<PvtV2Config>();
    const auto require = [&](bool holds, const std::string& what) {
      check(holds, "convert", "{} models cannot express {}", name(), what);
    };
    require(c.layer_norm_epsilon == 1e-5 && c.inner_norm_epsilon == 1e-5,
            "a LayerNorm of any epsilon but 1e-5");
    require(!c.linear_attention, "linear attention");
    require(c.qkv_bias, "projections without bias");
    check_hf_ratios(c, kHfSegformerForm);
  }
};

}  // namespace

const Family* hf_segformer_family() {
  static const HfSegformerFamily family;
  return &family;
}

}  // namespace vitrail
