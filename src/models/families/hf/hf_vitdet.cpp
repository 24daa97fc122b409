// transformers' ViTDet.
#include <algorithm>

#include "core/error.h"
#include "models/backbones/vitdet_config.h"
#include "models/families/hf/hf_network.h"
#include "models/families/reading/sides.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr HfModel kHfVitDet[] = {{"vitdet", "VitDet"}};
constexpr std::string_view kHfVitDetArchitectures[] = {"VitDetModel", "VitDetBackbone"};
constexpr std::string_view kHfVitDetClasses[] = {
    "transformers.models.vitdet.modeling_vitdet.VitDetModel",
    "transformers.models.vitdet.modeling_vitdet.VitDetBackbone"};

constexpr NameRow kHfVitDetRows[] = {
    {"patch_embed.proj", {"@embeddings.projection"}},
    {"pos_embed", {"@embeddings.position_embeddings"}},
    {"blocks.#.norm1", {"@encoder.layer.#.norm1"}},
    {"blocks.#.attn.qkv", {"@encoder.layer.#.attention.qkv"}},
    {"blocks.#.attn.proj", {"@encoder.layer.#.attention.proj"}},
    {"blocks.#.attn.rel_pos_h", {"@encoder.layer.#.attention.rel_pos_h"}},
    {"blocks.#.attn.rel_pos_w", {"@encoder.layer.#.attention.rel_pos_w"}},
    {"blocks.#.norm2", {"@encoder.layer.#.norm2"}},
    {"blocks.#.mlp.fc1", {"@encoder.layer.#.mlp.fc1"}},
    {"blocks.#.mlp.fc2", {"@encoder.layer.#.mlp.fc2"}},
    {"blocks.#.residual.conv1", {"@encoder.layer.#.residual.conv1"}},
    {"blocks.#.residual.norm1", {"@encoder.layer.#.residual.norm1"}},
    {"blocks.#.residual.conv2", {"@encoder.layer.#.residual.conv2"}},
    {"blocks.#.residual.norm2", {"@encoder.layer.#.residual.norm2"}},
    {"blocks.#.residual.conv3", {"@encoder.layer.#.residual.conv3"}},
    {"blocks.#.residual.norm3", {"@encoder.layer.#.residual.norm3"}},
};

// transformers cannot make one without absolute positions.
constexpr FieldRule kHfVitDetFields[] = {
    {"hidden_size"},
    {"num_hidden_layers"},
    {"num_attention_heads"},
    {"mlp_ratio"},
    {"hidden_act"},
    {"dropout_prob", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
    {"layer_norm_eps"},
    {"image_size"},
    {"pretrain_image_size"},
    {"patch_size"},
    {"num_channels"},
    {"qkv_bias"},
    {"drop_path_rate", FieldRule::kNumber},
    {"window_block_indices"},
    {"residual_block_indices"},
    {"use_absolute_position_embeddings", FieldRule::kOnly, "[true]"},
    {"use_relative_position_embeddings"},
    {"window_size"},
    {"stage_names", FieldRule::kIdle},
    {"out_features", FieldRule::kIdle},
    {"out_indices", FieldRule::kIdle},
    {"_out_features", FieldRule::kIdle},
    {"_out_indices", FieldRule::kIdle},
};

const VitDetConfig& vitdet_of(const NetworkConfig& config) {
  return *config.get_if<VitDetConfig>();
}

class HfVitDetFamily : public HfNetwork {
 public:
  const char* name() const override { return "hf_vitdet"; }
  const char* models() const override { return "transformers' ViTDet"; }
  std::span<const HfModel> hf_models() const override { return kHfVitDet; }
  std::span<const std::string_view> architectures() const override {
    return kHfVitDetArchitectures;
  }
  std::span<const std::string_view> module_classes() const override { return kHfVitDetClasses; }
  std::string_view network() const override { return VitDetConfig::kType; }
  bool suits(const NetworkConfig& config) const override {
    return HfNetwork::suits(config) && vitdet_of(config).neck == Neck::none;
  }
  std::string_view mark() const override { return "encoder.layer.0.attention.qkv.weight"; }
  NameTables tables(const Spelling&) const override { return {{kHfVitDetRows}, 0, false}; }

  std::span<const FieldRule> config_fields() const override { return kHfVitDetFields; }
  NetworkConfig from_config(const nlohmann::json& config, const std::string& place) const override {
    VitDetConfig c;
    const auto read = [&]<typename T>(const char* key, T& field) {
      if (const auto value = get_optional<T>(config, key, place)) field = *value;
    };
    const auto read_sides = [&](const char* key, int64_t& height, int64_t& width) {
      if (config.contains(key))
        std::tie(height, width) = sides_from_json(config, key, place, "transformers");
    };
    int64_t learned_height = 224, learned_width = 224;
    double ratio = 4;
    std::string activation = "gelu";
    std::vector<int64_t> windows;
    c.neck = Neck::none;
    c.num_classes = 0;
    c.relative_positions = false;
    c.window_size = 0;
    c.position_prefix = 1;
    c.position_resize = PositionResize::bicubic;
    read("hidden_size", c.embed_dim);
    read("num_hidden_layers", c.depth);
    read("num_attention_heads", c.num_heads);
    read("num_channels", c.in_channels);
    read("layer_norm_eps", c.layer_norm_epsilon);
    read("qkv_bias", c.qkv_bias);
    read("mlp_ratio", ratio);
    read("hidden_act", activation);
    read("window_size", c.window_size);
    read("window_block_indices", windows);
    read("residual_block_indices", c.residual_blocks);
    read("use_relative_position_embeddings", c.relative_positions);
    read_sides("image_size", c.image_height, c.image_width);
    read_sides("patch_size", c.patch_height, c.patch_width);
    read_sides("pretrain_image_size", learned_height, learned_width);
    check(c.patch_height > 0 && c.patch_width > 0, "transformers", "{}: patch_size is not positive",
          place);
    check(c.depth >= 0 && c.depth <= 1024, "transformers", "{}: num_hidden_layers is {}", place,
          c.depth);
    std::ranges::sort(c.residual_blocks);
    c.mlp_hidden_dim = static_cast<int64_t>(static_cast<double>(c.embed_dim) * ratio);
    c.activation = hf_activation(activation, place);
    c.position_grid_height = learned_height / c.patch_height;
    c.position_grid_width = learned_width / c.patch_width;
    check(
        c.position_grid_height == c.position_grid_width, "transformers",
        "{}: pretrain_image_size makes a table of {}x{}, and transformers takes square ones alone",
        place, c.position_grid_height, c.position_grid_width);
    // Whatever stands behind the last whole patch is not seen.
    c.relative_grid_height = c.image_height / c.patch_height;
    c.relative_grid_width = c.image_width / c.patch_width;
    c.image_height = c.relative_grid_height * c.patch_height;
    c.image_width = c.relative_grid_width * c.patch_width;
    if (c.window_size > 0)
      for (int64_t i = 0; i < c.depth; ++i)
        if (std::ranges::find(windows, i) == windows.end()) c.global_blocks.push_back(i);
    return c;
  }

  nlohmann::json to_config(const NetworkConfig& config) const override {
    const VitDetConfig& c = vitdet_of(config);
    nlohmann::json windows = nlohmann::json::array();
    for (int64_t i = 0; i < c.depth; ++i)
      if (!c.is_global(i)) windows.push_back(i);
    return {{"hidden_size", c.embed_dim},
            {"num_hidden_layers", c.depth},
            {"num_attention_heads", c.num_heads},
            {"mlp_ratio", c.mlp_hidden() / c.embed_dim},
            {"hidden_act", hf_activation_name(c.activation, name())},
            {"layer_norm_eps", c.layer_norm_epsilon},
            {"image_size", sides_to_json(c.relative_rows() * c.patch_height,
                                         c.relative_columns() * c.patch_width)},
            {"pretrain_image_size", sides_to_json(c.position_rows() * c.patch_height,
                                                  c.position_columns() * c.patch_width)},
            {"patch_size", sides_to_json(c.patch_height, c.patch_width)},
            {"num_channels", c.in_channels},
            {"qkv_bias", c.qkv_bias},
            {"window_block_indices", windows},
            {"residual_block_indices", c.residual_blocks},
            {"use_absolute_position_embeddings", true},
            {"use_relative_position_embeddings", c.relative_positions},
            {"window_size", c.window_size}};
  }
  void check_expressible(const NetworkConfig& config) const override {
    const VitDetConfig& c = vitdet_of(config);
    const auto require = [](bool can, const char* what) {
      check(can, "convert", "transformers' ViTDet has no {}", what);
    };
    require(c.num_classes == 0, "classes");
    require(c.neck == Neck::none, "neck");
    require(!c.qk_norm, "norms of queries and keys");
    require(!c.layer_scale, "LayerScale");
    require(c.absolute_positions && c.position_prefix == 1,
            "positions but a table with a row in front of the grid's");
    require(c.position_rows() == c.position_columns(), "table of positions that is not square");
    require(c.mlp_hidden() % c.embed_dim == 0, "hidden width but a multiple of the tokens'");
  }
};

}  // namespace

const Family* hf_vitdet_family() {
  static const HfVitDetFamily family;
  return &family;
}

}  // namespace vitrail
