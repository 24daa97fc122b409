// The image encoder of transformers' SAM, alone or within the whole model, whose prompt encoder and
// mask decoder are left out.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "models/backbones/vitdet_config.h"
#include "models/families/hf/hf_network.h"
#include "models/families/reading/sides.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

// The first is what is written.
constexpr HfModel kHfSam[] = {{"sam_vision_model", "SamVision"}, {"sam", "Sam"}};
constexpr std::string_view kHfSamArchitectures[] = {"SamVisionModel", "SamModel"};
constexpr std::string_view kHfSamClasses[] = {"transformers.models.sam.modeling_sam.SamVisionModel",
                                              "transformers.models.sam.modeling_sam.SamModel"};

constexpr NameRow kHfSamRows[] = {
    {"patch_embed.proj", {"@vision_encoder.patch_embed.projection"}},
    {"pos_embed", {"@vision_encoder.pos_embed"}},
    {"blocks.#.norm1", {"@vision_encoder.layers.#.layer_norm1"}},
    {"blocks.#.attn.qkv", {"@vision_encoder.layers.#.attn.qkv"}},
    {"blocks.#.attn.proj", {"@vision_encoder.layers.#.attn.proj"}},
    {"blocks.#.attn.rel_pos_h", {"@vision_encoder.layers.#.attn.rel_pos_h"}},
    {"blocks.#.attn.rel_pos_w", {"@vision_encoder.layers.#.attn.rel_pos_w"}},
    {"blocks.#.norm2", {"@vision_encoder.layers.#.layer_norm2"}},
    {"blocks.#.mlp.fc1", {"@vision_encoder.layers.#.mlp.lin1"}},
    {"blocks.#.mlp.fc2", {"@vision_encoder.layers.#.mlp.lin2"}},
    {"neck.conv1", {"@vision_encoder.neck.conv1"}},
    {"neck.norm1", {"@vision_encoder.neck.layer_norm1"}},
    {"neck.conv2", {"@vision_encoder.neck.conv2"}},
    {"neck.norm2", {"@vision_encoder.neck.layer_norm2"}},
};

constexpr FieldRule kHfSamFields[] = {
    // Of the whole model.
    {"vision_config"},
    {"prompt_encoder_config", FieldRule::kIdle},
    {"mask_decoder_config", FieldRule::kIdle},
    // Of its image encoder.
    {"hidden_size"},
    {"output_channels"},
    {"num_hidden_layers"},
    {"num_attention_heads"},
    {"num_channels"},
    {"image_size"},
    {"patch_size"},
    {"hidden_act"},
    {"layer_norm_eps"},
    {"attention_dropout", FieldRule::kNumber},
    {"dropout", FieldRule::kNumber},
    {"projection_dim", FieldRule::kNumber},
    {"initializer_factor", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
    {"qkv_bias"},
    {"mlp_ratio"},
    {"use_abs_pos"},
    {"use_rel_pos"},
    {"rel_pos_zero_init", FieldRule::kFlag},
    {"window_size"},
    {"global_attn_indexes"},
    {"num_pos_feats", FieldRule::kNumber},
    {"mlp_dim"},
    {"scale", FieldRule::kNumber},
};

const VitDetConfig& sam_of(const NetworkConfig& config) {
  return *config.get_if<VitDetConfig>();
}

class HfSamFamily : public HfNetwork {
 public:
  const char* name() const override { return "hf_sam"; }
  const char* models() const override { return "transformers' SAM's image encoder"; }
  std::span<const HfModel> hf_models() const override { return kHfSam; }
  std::span<const std::string_view> architectures() const override { return kHfSamArchitectures; }
  std::span<const std::string_view> module_classes() const override { return kHfSamClasses; }
  std::string_view network() const override { return VitDetConfig::kType; }
  bool suits(const NetworkConfig& config) const override {
    return HfNetwork::suits(config) && sam_of(config).neck == Neck::convolutions;
  }
  std::string_view mark() const override { return "vision_encoder.patch_embed.projection.weight"; }
  NameTables tables(const Spelling&) const override { return {{kHfSamRows}, 0, false}; }
  bool is_left_out(std::string_view name) const override {
    for (const char* part : {"prompt_encoder.", "mask_decoder.", "shared_image_embedding."})
      if (name.starts_with(part)) return true;
    return false;
  }

  std::span<const FieldRule> config_fields() const override { return kHfSamFields; }
  NetworkConfig from_config(const nlohmann::json& config, const std::string& place) const override {
    if (hf_model_of(config, kHfSam).type != "sam") return encoder(config, place);
    const auto vision = config.find("vision_config");
    const std::string inner = place + "'s vision_config";
    if (vision == config.end() || vision->is_null())
      return encoder(nlohmann::json::object(), inner);
    const std::array<std::span<const FieldRule>, 2> fields = {pretrained_config_fields(),
                                                              kHfSamFields};
    check_fields(*vision, {inner, "transformers' SamVisionConfig", fields});
    return encoder(*vision, inner);
  }

  nlohmann::json to_config(const NetworkConfig& config) const override {
    const VitDetConfig& c = sam_of(config);
    return {{"hidden_size", c.embed_dim},
            {"output_channels", c.neck_channels},
            {"num_hidden_layers", c.depth},
            {"num_attention_heads", c.num_heads},
            {"num_channels", c.in_channels},
            {"image_size", c.image_height},
            {"patch_size", c.patch_height},
            {"hidden_act", hf_activation_name(c.activation, name())},
            {"layer_norm_eps", c.layer_norm_epsilon},
            {"qkv_bias", c.qkv_bias},
            {"use_abs_pos", c.absolute_positions},
            {"use_rel_pos", c.relative_positions},
            {"window_size", c.window_size},
            {"global_attn_indexes", c.global_blocks},
            {"mlp_dim", c.mlp_hidden()}};
  }
  void check_expressible(const NetworkConfig& config) const override {
    const VitDetConfig& c = sam_of(config);
    const auto require = [](bool can, const char* what) {
      check(can, "convert", "transformers' SAM's image encoder has no {}", what);
    };
    require(c.num_classes == 0, "classes");
    require(c.neck == Neck::convolutions, "neck but convolutions");
    require(!c.qk_norm, "norms of queries and keys");
    require(!c.layer_scale, "LayerScale");
    require(c.residual_blocks.empty(), "residual blocks");
    require(c.position_prefix == 0, "rows of positions before the grid's");
    require(c.patch_height == c.patch_width && c.image_height == c.image_width,
            "patches or pictures that are not square");
    const int64_t side = c.grid_height(c.image_height);
    require(
        (!c.absolute_positions || (c.position_rows() == side && c.position_columns() == side)) &&
            (!c.relative_positions || (c.relative_rows() == side && c.relative_columns() == side)),
        "positions of another grid than the picture's; convert it at the size that it was made "
        "for");
  }

 private:
  static VitDetConfig encoder(const nlohmann::json& fields, const std::string& place) {
    VitDetConfig c;
    const auto read = [&]<typename T>(const char* key, T& field) {
      if (const auto value = get_optional<T>(fields, key, place)) field = *value;
    };
    const auto read_side = [&](const char* key, int64_t& height, int64_t& width) {
      if (!fields.contains(key)) return;
      std::tie(height, width) = sides_from_json(fields, key, place, "transformers");
      check(height == width, "transformers",
            "{}: {} is not square, which transformers' SAM cannot be", place, key);
    };
    double ratio = 4;
    std::string activation = "gelu";
    c.image_height = c.image_width = 1024;
    c.global_blocks = {2, 5, 8, 11};
    c.num_classes = 0;
    read("hidden_size", c.embed_dim);
    read("output_channels", c.neck_channels);
    read("num_hidden_layers", c.depth);
    read("num_attention_heads", c.num_heads);
    read("num_channels", c.in_channels);
    read_side("image_size", c.image_height, c.image_width);
    read_side("patch_size", c.patch_height, c.patch_width);
    read("hidden_act", activation);
    read("layer_norm_eps", c.layer_norm_epsilon);
    read("qkv_bias", c.qkv_bias);
    read("use_abs_pos", c.absolute_positions);
    read("use_rel_pos", c.relative_positions);
    read("window_size", c.window_size);
    read("global_attn_indexes", c.global_blocks);
    std::ranges::sort(c.global_blocks);
    read("mlp_ratio", ratio);
    c.mlp_hidden_dim = static_cast<int64_t>(static_cast<double>(c.embed_dim) * ratio);
    read("mlp_dim", c.mlp_hidden_dim);
    c.activation = hf_activation(activation, place);
    c.fixed_positions = true;
    return c;
  }
};

}  // namespace

const Family* hf_sam_family() {
  static const HfSamFamily family;
  return &family;
}

}  // namespace vitrail
