// transformers' PVT v2.
#include "models/backbones/pvt_v2.h"
#include "models/families/hf/hf_pyramid.h"
#include "models/families/reading/sides.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr HfModel kHfPvtV2[] = {{"pvt_v2", "PvtV2"}};
constexpr std::string_view kHfPvtV2Architectures[] = {"PvtV2Model", "PvtV2ForImageClassification",
                                                      "PvtV2Backbone"};

constexpr NameRow kHfPvtV2Rows[] = {
    {"patch_embed.proj", {"@encoder.layers.0.patch_embedding.proj"}},
    {"patch_embed.norm", {"@encoder.layers.0.patch_embedding.layer_norm"}},
    {"stages.#.downsample.proj", {"@encoder.layers.#.patch_embedding.proj"}},
    {"stages.#.downsample.norm", {"@encoder.layers.#.patch_embedding.layer_norm"}},
    {"stages.#.blocks.#.norm1", {"@encoder.layers.#.blocks.#.layer_norm_1"}},
    {"stages.#.blocks.#.attn.q", {"@encoder.layers.#.blocks.#.attention.query"}},
    {"stages.#.blocks.#.attn.kv",
     {"@encoder.layers.#.blocks.#.attention.key+@encoder.layers.#.blocks.#.attention.value"}},
    {"stages.#.blocks.#.attn.sr", {"@encoder.layers.#.blocks.#.attention.spatial_reduction"}},
    {"stages.#.blocks.#.attn.norm", {"@encoder.layers.#.blocks.#.attention.layer_norm"}},
    {"stages.#.blocks.#.attn.proj", {"@encoder.layers.#.blocks.#.attention.proj"}},
    {"stages.#.blocks.#.norm2", {"@encoder.layers.#.blocks.#.layer_norm_2"}},
    {"stages.#.blocks.#.mlp.fc1", {"@encoder.layers.#.blocks.#.mlp.dense1"}},
    {"stages.#.blocks.#.mlp.dwconv", {"@encoder.layers.#.blocks.#.mlp.dwconv.dwconv"}},
    {"stages.#.blocks.#.mlp.fc2", {"@encoder.layers.#.blocks.#.mlp.dense2"}},
    {"stages.#.norm", {"@encoder.layers.#.layer_norm"}},
    {"head", {"classifier"}},
};

constexpr FieldRule kHfPvtV2Fields[] = {
    {"image_size"},
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
    {"layer_norm_eps"},
    {"qkv_bias"},
    {"linear_attention"},
    {"hidden_dropout_prob", FieldRule::kNumber},
    {"attention_probs_dropout_prob", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
    {"out_features", FieldRule::kIdle},
    {"out_indices", FieldRule::kIdle},
    {"_out_features", FieldRule::kIdle},
    {"_out_indices", FieldRule::kIdle},
    {"stage_names", FieldRule::kIdle},
};

const HfPyramid kHfPvtV2Form{
    .family = "hf_pvt_v2", .reductions = "sr_ratios", .mlp_ratios = {8, 8, 4, 4}};

class HfPvtV2Family : public HfNetwork {
 public:
  const char* name() const override { return "hf_pvt_v2"; }
  const char* models() const override { return "transformers' PVT v2"; }
  std::string_view network() const override { return PvtV2Config::kType; }
  std::string_view mark() const override {
    return "encoder.layers.0.blocks.0.mlp.dwconv.dwconv.weight";
  }
  std::span<const HfModel> hf_models() const override { return kHfPvtV2; }
  std::span<const std::string_view> architectures() const override { return kHfPvtV2Architectures; }
  NameTables tables(const Spelling&) const override { return {{kHfPvtV2Rows}, 0, false}; }
  Spelling spelling_for(const NetworkConfig& config) const override {
    return {.prefix = config.class_answer().classes > 0 ? "pvt_v2." : ""};
  }

  std::span<const FieldRule> config_fields() const override { return kHfPvtV2Fields; }
  NetworkConfig from_config(const nlohmann::json& in, const std::string& place) const override {
    PvtV2Config c;
    c.depths = {2, 2, 2, 2};
    c.embed_dims = {32, 64, 160, 256};
    read_hf_pyramid(in, place, kHfPvtV2Form, &c);
    if (in.contains("image_size"))
      std::tie(c.image_height, c.image_width) =
          sides_from_json(in, "image_size", place, "transformers");
    read_hf_field(in, "strides", place, &c.strides);
    read_hf_field(in, "layer_norm_eps", place, &c.layer_norm_epsilon);
    c.inner_norm_epsilon = c.layer_norm_epsilon;
    read_hf_field(in, "qkv_bias", place, &c.qkv_bias);
    read_hf_field(in, "linear_attention", place, &c.linear_attention);
    return c;
  }
  nlohmann::json to_config(const NetworkConfig& network) const override {
    const PvtV2Config& c = *network.get_if<PvtV2Config>();
    nlohmann::json out = hf_pyramid_json(c, kHfPvtV2Form);
    out.update({{"image_size", sides_to_json(c.image_height, c.image_width)},
                {"strides", c.strides},
                {"layer_norm_eps", c.layer_norm_epsilon},
                {"qkv_bias", c.qkv_bias},
                {"linear_attention", c.linear_attention}});
    return out;
  }
  void check_expressible(const NetworkConfig& network) const override {
    const PvtV2Config& c = *network.get_if<PvtV2Config>();
    check(c.layer_norm_epsilon == c.inner_norm_epsilon, "convert",
          "hf_pvt_v2 models cannot express two epsilons, {} in blocks and {} elsewhere",
          c.layer_norm_epsilon, c.inner_norm_epsilon);
    check_hf_ratios(c, kHfPvtV2Form);
  }
};

}  // namespace

const Family* hf_pvt_v2_family() {
  static const HfPvtV2Family family;
  return &family;
}

}  // namespace vitrail
