// transformers' PVT (version 1).
#include "core/error.h"
#include "formats/json.h"
#include "models/backbones/pvt.h"
#include "models/families/hf/hf_network.h"
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
    const auto read = [&](const char* key, auto& field) {
      field =
          get_optional<std::remove_reference_t<decltype(field)>>(in, key, place).value_or(field);
    };
    read("image_size", c.image_height);
    c.image_width = c.image_height;
    read("num_channels", c.in_channels);
    read("depths", c.depths);
    read("sequence_reduction_ratios", c.reductions);
    read("hidden_sizes", c.embed_dims);
    read("patch_sizes", c.patch_sizes);
    read("num_attention_heads", c.num_heads);
    std::vector<int64_t> strides{4, 2, 2, 2};
    read("strides", strides);
    check(strides == c.patch_sizes, ErrorCode::unsupported, "transformers",
          "{}: strides and patch_sizes differ, which Vitrail does not implement", place);
    std::vector<double> ratios{8, 8, 4, 4};
    read("mlp_ratios", ratios);
    c.mlp_hidden_dims.clear();
    for (size_t i = 0; i < std::min(ratios.size(), c.embed_dims.size()); ++i)
      c.mlp_hidden_dims.push_back(
          static_cast<int64_t>(static_cast<double>(c.embed_dims[i]) * ratios[i]));
    std::string activation = "gelu";
    read("hidden_act", activation);
    c.activation = hf_activation(activation, place);
    read("layer_norm_eps", c.layer_norm_epsilon);
    read("qkv_bias", c.qkv_bias);
    auto stages = static_cast<int64_t>(c.depths.size());
    read("num_encoder_blocks", stages);
    check(stages == static_cast<int64_t>(c.depths.size()), "transformers",
          "{}: num_encoder_blocks is {}, and depths names {} stages", place, stages,
          c.depths.size());
    return c;
  }
  nlohmann::json to_config(const NetworkConfig& network) const override {
    const PvtConfig& c = *network.get_if<PvtConfig>();
    std::vector<int64_t> ratios;
    for (size_t i = 0; i < c.embed_dims.size(); ++i)
      ratios.push_back(c.mlp_hidden_dims[i] / c.embed_dims[i]);
    return {{"image_size", c.image_height},
            {"num_channels", c.in_channels},
            {"num_encoder_blocks", c.depths.size()},
            {"depths", c.depths},
            {"sequence_reduction_ratios", c.reductions},
            {"hidden_sizes", c.embed_dims},
            {"patch_sizes", c.patch_sizes},
            {"strides", c.patch_sizes},
            {"num_attention_heads", c.num_heads},
            {"mlp_ratios", ratios},
            {"hidden_act", hf_activation_name(c.activation, name())},
            {"layer_norm_eps", c.layer_norm_epsilon},
            {"qkv_bias", c.qkv_bias}};
  }
  void check_expressible(const NetworkConfig& network) const override {
    const PvtConfig& c = *network.get_if<PvtConfig>();
    check(c.image_height == c.image_width, "convert",
          "{} models cannot express pictures that are not square", name());
    for (size_t i = 0; i < c.embed_dims.size(); ++i)
      check(c.mlp_hidden_dims[i] % c.embed_dims[i] == 0, "convert",
            "{} models cannot express an MLP {} wide on {}: the ratio is a whole number", name(),
            c.mlp_hidden_dims[i], c.embed_dims[i]);
  }
};

}  // namespace

const Family* hf_pvt_family() {
  static const HfPvtFamily family;
  return &family;
}

}  // namespace vitrail
