// transformers' SegFormer: its encoder (MiT), which is a PVT v2 with other numbers, alone and with
// a classifier. Files with the decode head of semantic segmentation, whose answer is a map of
// classes, are refused.
#include "core/error.h"
#include "formats/json.h"
#include "models/backbones/pvt_v2.h"
#include "models/families/hf/hf_network.h"
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
    const auto read = [&](const char* key, auto otherwise) {
      return get_optional<decltype(otherwise)>(in, key, place).value_or(otherwise);
    };
    using List = std::vector<int64_t>;
    c.in_channels = read("num_channels", int64_t{3});
    c.depths = read("depths", List{2, 2, 2, 2});
    c.reductions = read("sr_ratios", List{8, 4, 2, 1});
    c.embed_dims = read("hidden_sizes", List{32, 64, 160, 256});
    c.patch_sizes = read("patch_sizes", List{7, 3, 3, 3});
    c.strides = read("strides", List{4, 2, 2, 2});
    c.num_heads = read("num_attention_heads", List{1, 2, 5, 8});
    const auto ratios = read("mlp_ratios", std::vector<double>{4, 4, 4, 4});
    c.mlp_hidden_dims.clear();
    for (size_t i = 0; i < std::min(ratios.size(), c.embed_dims.size()); ++i)
      c.mlp_hidden_dims.push_back(
          static_cast<int64_t>(static_cast<double>(c.embed_dims[i]) * ratios[i]));
    c.activation = hf_activation(read("hidden_act", std::string("gelu")), place);
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
    return {{"num_channels", c.in_channels},
            {"num_encoder_blocks", c.depths.size()},
            {"depths", c.depths},
            {"sr_ratios", c.reductions},
            {"hidden_sizes", c.embed_dims},
            {"patch_sizes", c.patch_sizes},
            {"strides", c.strides},
            {"num_attention_heads", c.num_heads},
            {"mlp_ratios", ratios},
            {"hidden_act", hf_activation_name(c.activation, name())}};
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
    for (size_t i = 0; i < c.embed_dims.size(); ++i)
      require(c.mlp_hidden_dims[i] % c.embed_dims[i] == 0,
              fmt::format("an MLP {} wide on {}: the ratio is a whole number", c.mlp_hidden_dims[i],
                          c.embed_dims[i]));
  }
};

}  // namespace

const Family* hf_segformer_family() {
  static const HfSegformerFamily family;
  return &family;
}

}  // namespace vitrail
