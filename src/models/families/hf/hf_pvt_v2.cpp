// transformers' PVT v2.
#include "core/error.h"
#include "formats/json.h"
#include "models/backbones/pvt_v2.h"
#include "models/families/hf/hf_network.h"
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
    const auto read = [&](const char* key, auto otherwise) {
      return get_optional<decltype(otherwise)>(in, key, place).value_or(otherwise);
    };
    using List = std::vector<int64_t>;
    if (in.contains("image_size"))
      std::tie(c.image_height, c.image_width) =
          sides_from_json(in, "image_size", place, "transformers");
    c.in_channels = read("num_channels", int64_t{3});
    c.depths = read("depths", List{2, 2, 2, 2});
    c.reductions = read("sr_ratios", List{8, 4, 2, 1});
    c.embed_dims = read("hidden_sizes", List{32, 64, 160, 256});
    c.patch_sizes = read("patch_sizes", List{7, 3, 3, 3});
    c.strides = read("strides", List{4, 2, 2, 2});
    c.num_heads = read("num_attention_heads", List{1, 2, 5, 8});
    const auto ratios = read("mlp_ratios", std::vector<double>{8, 8, 4, 4});
    c.mlp_hidden_dims.clear();
    for (size_t i = 0; i < std::min(ratios.size(), c.embed_dims.size()); ++i)
      c.mlp_hidden_dims.push_back(
          static_cast<int64_t>(static_cast<double>(c.embed_dims[i]) * ratios[i]));
    c.activation = hf_activation(read("hidden_act", std::string("gelu")), place);
    c.layer_norm_epsilon = c.inner_norm_epsilon = read("layer_norm_eps", 1e-6);
    c.qkv_bias = read("qkv_bias", true);
    c.linear_attention = read("linear_attention", false);
    const int64_t stages = read("num_encoder_blocks", static_cast<int64_t>(c.depths.size()));
    check(stages == static_cast<int64_t>(c.depths.size()), "transformers",
          "{}: num_encoder_blocks is {}, and depths names {} stages", place, stages,
          c.depths.size());
    return c;
  }
  nlohmann::json to_config(const NetworkConfig& network) const override {
    const PvtV2Config& c = *network.get_if<PvtV2Config>();
    std::vector<int64_t> ratios;
    for (size_t i = 0; i < c.embed_dims.size(); ++i)
      ratios.push_back(c.mlp_hidden_dims[i] / c.embed_dims[i]);
    return {{"image_size", sides_to_json(c.image_height, c.image_width)},
            {"num_channels", c.in_channels},
            {"num_encoder_blocks", c.depths.size()},
            {"depths", c.depths},
            {"sr_ratios", c.reductions},
            {"hidden_sizes", c.embed_dims},
            {"patch_sizes", c.patch_sizes},
            {"strides", c.strides},
            {"num_attention_heads", c.num_heads},
            {"mlp_ratios", ratios},
            {"hidden_act", hf_activation_name(c.activation, name())},
            {"layer_norm_eps", c.layer_norm_epsilon},
            {"qkv_bias", c.qkv_bias},
            {"linear_attention", c.linear_attention}};
  }
  void check_expressible(const NetworkConfig& network) const override {
    const PvtV2Config& c = *network.get_if<PvtV2Config>();
    check(c.layer_norm_epsilon == c.inner_norm_epsilon, "convert",
          "hf_pvt_v2 models cannot express two epsilons, {} in blocks and {} elsewhere",
          c.layer_norm_epsilon, c.inner_norm_epsilon);
    for (size_t i = 0; i < c.embed_dims.size(); ++i)
      check(c.mlp_hidden_dims[i] % c.embed_dims[i] == 0, "convert",
            "hf_pvt_v2 models cannot express an MLP {} wide on {}: the ratio is a whole number",
            c.mlp_hidden_dims[i], c.embed_dims[i]);
  }
};

}  // namespace

const Family* hf_pvt_v2_family() {
  static const HfPvtV2Family family;
  return &family;
}

}  // namespace vitrail
