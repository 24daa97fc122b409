// transformers' Swin, in both spellings of its names, and Swin v2.
#include <tuple>

#include "core/error.h"
#include "formats/json.h"
#include "models/backbones/swin_config.h"
#include "models/families/hf/hf_network.h"
#include "models/families/reading/sides.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/swin_rules.h"

namespace vitrail {
namespace {

constexpr HfModel kHfSwin[] = {{"swin", "Swin"}};
constexpr HfModel kHfSwinV2[] = {{"swinv2", "Swinv2"}};
constexpr std::string_view kHfSwinClasses[] = {"SwinModel", "SwinForImageClassification"};
constexpr std::string_view kHfSwinV2Classes[] = {"Swinv2Model", "Swinv2ForImageClassification"};

// A stage ends with its merging here (numbered()).
constexpr NameRow kHfSwinCommon[] = {
    {"patch_embed.proj", {"@embeddings.patch_embeddings.projection"}},
    {"patch_embed.norm", {"@embeddings.norm"}},
    {"layers.#.downsample.reduction", {"@encoder.layers.#.downsample.reduction"}},
    {"layers.#.downsample.norm", {"@encoder.layers.#.downsample.norm"}},
    {"layers.#.blocks.#.norm1", {"@encoder.layers.#.blocks.#.layernorm_before"}},
    {"layers.#.blocks.#.norm2", {"@encoder.layers.#.blocks.#.layernorm_after"}},
    {"norm", {"@layernorm"}},
    {"head", {"classifier"}},
};

// Of files, and of transformers 5.22 and later in memory.
constexpr NameRow kHfSwinBlocks[] = {
    {"layers.#.blocks.#.attn.qkv",
     {"@encoder.layers.#.blocks.#.attention.self.query+"
      "@encoder.layers.#.blocks.#.attention.self.key+"
      "@encoder.layers.#.blocks.#.attention.self.value",
      "@encoder.layers.#.blocks.#.attention.q_proj+"
      "@encoder.layers.#.blocks.#.attention.k_proj+"
      "@encoder.layers.#.blocks.#.attention.v_proj"}},
    {"layers.#.blocks.#.attn.proj",
     {"@encoder.layers.#.blocks.#.attention.output.dense",
      "@encoder.layers.#.blocks.#.attention.o_proj"}},
    {"layers.#.blocks.#.attn.relative_position_bias_table",
     {"@encoder.layers.#.blocks.#.attention.self.relative_position_bias_table",
      "@encoder.layers.#.blocks.#.attention.relative_position_bias.relative_position_bias_table"}},
    {"layers.#.blocks.#.mlp.fc1",
     {"@encoder.layers.#.blocks.#.intermediate.dense", "@encoder.layers.#.blocks.#.mlp.fc1"}},
    {"layers.#.blocks.#.mlp.fc2",
     {"@encoder.layers.#.blocks.#.output.dense", "@encoder.layers.#.blocks.#.mlp.fc2"}},
};

constexpr NameRow kHfSwinV2Blocks[] = {
    {"layers.#.blocks.#.attn.qkv",
     {"@encoder.layers.#.blocks.#.attention.self.query+"
      "@encoder.layers.#.blocks.#.attention.self.key+"
      "@encoder.layers.#.blocks.#.attention.self.value"}},
    {"layers.#.blocks.#.attn.q_bias", {"@encoder.layers.#.blocks.#.attention.self.query.bias"}},
    {"layers.#.blocks.#.attn.v_bias", {"@encoder.layers.#.blocks.#.attention.self.value.bias"}},
    {"layers.#.blocks.#.attn.logit_scale",
     {"@encoder.layers.#.blocks.#.attention.self.logit_scale"}},
    {"layers.#.blocks.#.attn.cpb_mlp.#",
     {"@encoder.layers.#.blocks.#.attention.self.continuous_position_bias_mlp.#"}},
    {"layers.#.blocks.#.attn.proj", {"@encoder.layers.#.blocks.#.attention.output.dense"}},
    {"layers.#.blocks.#.mlp.fc1", {"@encoder.layers.#.blocks.#.intermediate.dense"}},
    {"layers.#.blocks.#.mlp.fc2", {"@encoder.layers.#.blocks.#.output.dense"}},
};

constexpr FieldRule kHfSwinFields[] = {
    {"image_size"},
    {"patch_size"},
    {"num_channels"},
    {"embed_dim"},
    {"depths"},
    {"num_heads"},
    {"window_size"},
    {"mlp_ratio"},
    {"qkv_bias"},
    {"hidden_act"},
    {"layer_norm_eps"},
    {"num_layers"},
    {"hidden_size"},
    {"use_absolute_embeddings", FieldRule::kOnly, "[false]"},
    {"path_norm", FieldRule::kOnly, "[true]"},
    {"hidden_dropout_prob", FieldRule::kNumber},
    {"attention_probs_dropout_prob", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
    {"encoder_stride", FieldRule::kNumber},
    {"out_features", FieldRule::kIdle},
    {"out_indices", FieldRule::kIdle},
    {"_out_features", FieldRule::kIdle},
    {"_out_indices", FieldRule::kIdle},
    {"stage_names", FieldRule::kIdle},
    {"pretrained_window_sizes"},  // of version 2 alone
};

class HfSwinFamily : public HfNetwork {
 public:
  explicit HfSwinFamily(int64_t version) : version_(version) {}
  const char* name() const override { return first() ? "hf_swin" : "hf_swin_v2"; }
  const char* models() const override {
    return first() ? "transformers' Swin" : "transformers' Swin v2";
  }
  std::string_view network() const override { return SwinConfig::kType; }
  // Of both spellings.
  std::string_view mark() const override {
    return first() ? "encoder.layers.0.blocks.0.layernorm_before.weight"
                   : "encoder.layers.0.blocks.0.attention.self.logit_scale";
  }
  bool suits(const NetworkConfig& config) const override {
    const auto* swin = config.get_if<SwinConfig>();
    return swin != nullptr && swin->version == version_;
  }
  std::optional<Claim> recognise(const FileEvidence& file) const override {
    auto claim = HfNetwork::recognise(file);
    // Version 2 has the same names of norms, and positions of its own.
    if (claim && first() && file.any_name_contains(".logit_scale")) return std::nullopt;
    return claim;
  }
  void read_spelling(const FileEvidence& file, Spelling& spelling) const override {
    if (file.any_name_contains(".attention.q_proj.")) spelling.generation |= kAgeBit;
  }
  std::span<const HfModel> hf_models() const override {
    return first() ? std::span<const HfModel>(kHfSwin) : std::span<const HfModel>(kHfSwinV2);
  }
  std::span<const std::string_view> architectures() const override {
    return first() ? std::span<const std::string_view>(kHfSwinClasses)
                   : std::span<const std::string_view>(kHfSwinV2Classes);
  }
  NameTables tables(const Spelling& spelling) const override {
    if (!first()) return {{kHfSwinCommon, kHfSwinV2Blocks}, 0, false};
    return {{kHfSwinCommon, kHfSwinBlocks}, spelling.generation & kAgeBit, false};
  }
  std::string numbered(const Spelling&, std::string_view canonical) const override {
    return merging_at_end(canonical);
  }
  bool is_left_out(std::string_view tensor) const override {
    return tensor == "embeddings.mask_token" || tensor.ends_with(".relative_position_index") ||
           tensor.ends_with(".relative_coords_table");
  }
  Spelling spelling_for(const NetworkConfig& config) const override {
    const bool head = config.class_answer().classes > 0;
    return {.prefix = !head ? "" : first() ? "swin." : "swinv2."};
  }

  std::span<const FieldRule> config_fields() const override {
    const std::span<const FieldRule> all = kHfSwinFields;
    return first() ? all.first(all.size() - 1) : all;
  }
  NetworkConfig from_config(const nlohmann::json& in, const std::string& place) const override {
    SwinConfig c;
    c.version = version_;
    c.window_rule = WindowRule::transformers;
    const auto read = [&](const char* key, auto otherwise) {
      return get_optional<decltype(otherwise)>(in, key, place).value_or(otherwise);
    };
    using List = std::vector<int64_t>;
    const auto sides = [&](const char* key, int64_t otherwise) {
      return in.contains(key) ? sides_from_json(in, key, place, "transformers")
                              : std::pair(otherwise, otherwise);
    };
    std::tie(c.image_height, c.image_width) = sides("image_size", 224);
    const auto [patch_height, patch_width] = sides("patch_size", 4);
    check(patch_height == patch_width, "transformers",
          "{}: patches of {}x{} are not supported; square ones are", place, patch_height,
          patch_width);
    c.patch_size = patch_height;
    c.in_channels = read("num_channels", int64_t{3});
    c.embed_dim = read("embed_dim", int64_t{96});
    c.depths = read("depths", List{2, 2, 6, 2});
    c.num_heads = read("num_heads", List{3, 6, 12, 24});
    c.window_heights.assign(c.stages(), read("window_size", int64_t{7}));
    c.window_widths = c.window_heights;
    c.pretrained_windows = read("pretrained_window_sizes", List(c.stages()));
    c.pretrained_windows.resize(c.stages());  // the default has four
    c.mlp_ratio = read("mlp_ratio", 4.0);
    c.qkv_bias = read("qkv_bias", true);
    c.activation = hf_activation(read("hidden_act", std::string("gelu")), place);
    c.layer_norm_epsilon = read("layer_norm_eps", 1e-5);
    const auto stages = static_cast<int64_t>(c.stages());
    check(read("num_layers", stages) == stages, "transformers",
          "{}: num_layers is {}, and depths names {} stages", place, read("num_layers", stages),
          stages);
    const int64_t width = c.stages() == 0 ? 0 : c.width(c.stages() - 1);
    check(read("hidden_size", width) == width, "transformers",
          "{}: hidden_size is {}, and embed_dim makes the last stage {} wide", place,
          read("hidden_size", width), width);
    for (const int64_t window : c.pretrained_windows)
      check(window != 1, "transformers",
            "{}: pretrained_window_sizes has 1, by which transformers divides by zero", place);
    return c;
  }
  nlohmann::json to_config(const NetworkConfig& network) const override {
    const SwinConfig& c = *network.get_if<SwinConfig>();
    nlohmann::json out = {
        {"image_size", sides_to_json(c.window_picture().height, c.window_picture().width)},
        {"patch_size", c.patch_size},
        {"num_channels", c.in_channels},
        {"embed_dim", c.embed_dim},
        {"depths", c.depths},
        {"num_heads", c.num_heads},
        {"num_layers", c.stages()},
        {"hidden_size", c.width(c.stages() - 1)},
        {"window_size", c.window_heights.front()},
        {"mlp_ratio", c.mlp_ratio},
        {"qkv_bias", c.qkv_bias},
        {"hidden_act", hf_activation_name(c.activation, name())},
        {"layer_norm_eps", c.layer_norm_epsilon}};
    if (!first()) out["pretrained_window_sizes"] = c.pretrained_windows;
    return out;
  }
  void check_expressible(const NetworkConfig& network) const override {
    const SwinConfig& c = *network.get_if<SwinConfig>();
    check_swin_version(name(), c, version_);
    for (size_t i = 0; i < c.stages(); ++i)
      check(c.window_heights[i] == c.window_heights.front() &&
                c.window_widths[i] == c.window_heights.front(),
            "convert", "{} models cannot express windows that differ by stage or side", name());
    check_windows_fit(name(), c, WindowRule::transformers);
  }

 private:
  bool first() const { return version_ == 1; }
  int64_t version_;
};

}  // namespace

const Family* hf_swin_family() {
  static const HfSwinFamily family(1);
  return &family;
}

const Family* hf_swin_v2_family() {
  static const HfSwinFamily family(2);
  return &family;
}

}  // namespace vitrail
