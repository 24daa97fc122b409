// transformers' PVT (version 1).
#include "models/backbones/pvt.h"
#include "models/families/hf/hf_pyramid.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr HfModel kHfPvt[] = {{"pvt", "Pvt"}};
constexpr std::string_view kHfPvtArchitectures[] = {"PvtModel", "PvtForImageClassification"};

// The prefix reaches to the encoder, which is all that the base model has.
constexpr NameRow kHfPvtRows[] = {
    {"stages.#.patch_embed.proj", {"@patch_embeddings.#.projection"}},
    {"stages.#.patch_embed.norm", {"@patch_embeddings.#.layer_norm"}},
    {"stages.#.pos_embed", {"@patch_embeddings.#.position_embeddings"}},
    {"stages.#.cls_token", {"@patch_embeddings.#.cls_token"}},
    {"stages.#.blocks.#.norm1", {"@block.#.#.layer_norm_1"}},
    {"stages.#.blocks.#.attn.q", {"@block.#.#.attention.self.query"}},
    {"stages.#.blocks.#.attn.kv",
     {"@block.#.#.attention.self.key+@block.#.#.attention.self.value"}},
    {"stages.#.blocks.#.attn.sr", {"@block.#.#.attention.self.sequence_reduction"}},
    {"stages.#.blocks.#.attn.norm", {"@block.#.#.attention.self.layer_norm"}},
    {"stages.#.blocks.#.attn.proj", {"@block.#.#.attention.output.dense"}},
    {"stages.#.blocks.#.norm2", {"@block.#.#.layer_norm_2"}},
    {"stages.#.blocks.#.mlp.fc1", {"@block.#.#.mlp.dense1"}},
    {"stages.#.blocks.#.mlp.fc2", {"@block.#.#.mlp.dense2"}},
    {"norm", {"@layer_norm"}},
    {"head", {"classifier"}},
};

constexpr FieldRule kHfPvtFields[] = {
    {"image_size"},
    {"num_channels"},
    {"num_encoder_blocks"},
    {"depths"},
    {"sequence_reduction_ratios"},
    {"hidden_sizes"},
    {"patch_sizes"},
    {"strides"},
    {"num_attention_heads"},
    {"mlp_ratios"},
    {"hidden_act"},
    {"layer_norm_eps"},
    {"qkv_bias"},
    {"hidden_dropout_prob", FieldRule::kNumber},
    {"attention_probs_dropout_prob", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
};

// The library's other defaults are PvtConfig's.
const HfPyramid kHfPvtForm{
    .family = "hf_pvt", .reductions = "sequence_reduction_ratios", .mlp_ratios = {8, 8, 4, 4}};

class HfPvtFamily : public HfNetwork {
 public:
  const char* name() const override { return "hf_pvt"; }
  const char* models() const override { return "transformers' PVT"; }
  std::string_view network() const override { return PvtConfig::kType; }
  std::string_view mark() const override { return "patch_embeddings.0.position_embeddings"; }
  std::span<const HfModel> hf_models() const override { return kHfPvt; }
  std::span<const std::string_view> architectures() const override { return kHfPvtArchitectures; }
  NameTables tables(const Spelling&) const override { return {{kHfPvtRows}, 0, false}; }
  Spelling spelling_for(const NetworkConfig& config) const override {
    return {.prefix = config.class_answer().classes > 0 ? "pvt.encoder." : "encoder."};
  }

  std::span<const FieldRule> config_fields() const override { return kHfPvtFields; }
  NetworkConfig from_config(const nlohmann::json& in, const std::string& place) const override {
    PvtConfig c;
    read_hf_pyramid(in, place, kHfPvtForm, &c);
    read_hf_field(in, "image_size", place, &c.image_height);
    c.image_width = c.image_height;
    std::vector<int64_t> strides{4, 2, 2, 2};
    read_hf_field(in, "strides", place, &strides);
    check(strides == c.patch_sizes, ErrorCode::unsupported, "transformers",
          "{}: strides and patch_sizes differ, which Vitrail does not implement", place);
    read_hf_field(in, "layer_norm_eps", place, &c.layer_norm_epsilon);
    read_hf_field(in, "qkv_bias", place, &c.qkv_bias);
    return c;
  }
  nlohmann::json to_config(const NetworkConfig& network) const override {
    const PvtConfig& c = *network.get_if<PvtConfig>();
    nlohmann::json out = hf_pyramid_json(c, kHfPvtForm);
    out.update({{"image_size", c.image_height},
                {"strides", c.patch_sizes},
                {"layer_norm_eps", c.layer_norm_epsilon},
                {"qkv_bias", c.qkv_bias}});
    return out;
  }
  void check_expressible(const NetworkConfig& network) const override {
    const PvtConfig& c = *network.get_if<PvtConfig>();
    check(c.image_height == c.image_width, "convert",
          "{} models cannot express pictures that are not square", name());
    check_hf_ratios(c, kHfPvtForm);
  }
};

}  // namespace

const Family* hf_pvt_family() {
  static const HfPvtFamily family;
  return &family;
}

}  // namespace vitrail
