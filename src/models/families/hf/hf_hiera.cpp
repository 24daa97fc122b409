// transformers' Hiera.
#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "models/backbones/hiera_config.h"
#include "models/families/hf/hf_network.h"
#include "models/families/reading/sides.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr HfModel kHfHiera[] = {{"hiera", "Hiera"}};
constexpr std::string_view kHfHieraArchitectures[] = {"HieraModel", "HieraForImageClassification"};
constexpr std::string_view kHfHieraClasses[] = {
    "transformers.models.hiera.modeling_hiera.HieraModel",
    "transformers.models.hiera.modeling_hiera.HieraForImageClassification",
};

// The blocks' numbers are those of numbered().
constexpr NameRow kHfHieraRows[] = {
    {"patch_embed.proj", {"@embeddings.patch_embeddings.projection"}},
    {"pos_embed", {"@embeddings.position_embeddings"}},
    {"blocks.#.#.norm1", {"@encoder.stages.#.layers.#.layernorm_before"}},
    {"blocks.#.#.attn.qkv", {"@encoder.stages.#.layers.#.attn.qkv"}},
    {"blocks.#.#.attn.proj", {"@encoder.stages.#.layers.#.attn.proj"}},
    {"blocks.#.#.proj", {"@encoder.stages.#.layers.#.proj"}},
    {"blocks.#.#.norm2", {"@encoder.stages.#.layers.#.layernorm_after"}},
    {"blocks.#.#.mlp.fc1", {"@encoder.stages.#.layers.#.mlp.fc1"}},
    {"blocks.#.#.mlp.fc2", {"@encoder.stages.#.layers.#.mlp.fc2"}},
    {"fc_norm", {"@pooler.layernorm"}},
    {"head", {"classifier"}},
};

// The decoder, of masked pictures, is not run.
constexpr FieldRule kHfHieraFields[] = {
    {"embed_dim"},
    {"hidden_size"},
    {"image_size"},
    {"patch_size"},
    {"patch_stride"},
    {"patch_padding"},
    {"mlp_ratio"},
    {"depths"},
    {"num_layers", FieldRule::kNumber},
    {"num_heads"},
    {"embed_dim_multiplier"},
    {"num_query_pool"},
    {"query_stride"},
    {"masked_unit_size"},
    {"masked_unit_attention"},
    {"drop_path_rate", FieldRule::kNumber},
    {"num_channels"},
    {"hidden_act"},
    {"initializer_range", FieldRule::kNumber},
    {"layer_norm_init", FieldRule::kNumber},
    {"layer_norm_eps"},
    {"decoder_hidden_size", FieldRule::kNumber},
    {"decoder_depth", FieldRule::kNumber},
    {"decoder_num_heads", FieldRule::kNumber},
    {"normalize_pixel_loss", FieldRule::kFlag},
    {"mask_ratio", FieldRule::kNumber},
    {"stage_names", FieldRule::kIdle},
    {"out_features", FieldRule::kIdle},
    {"out_indices", FieldRule::kIdle},
    {"_out_features", FieldRule::kIdle},
    {"_out_indices", FieldRule::kIdle},
};

// The widths of the stages: a power of the factor each, cut to a whole number.
std::vector<int64_t> widths_of(int64_t first, double factor, size_t stages) {
  std::vector<int64_t> widths;
  double power = 1;
  for (size_t i = 0; i < stages; ++i, power *= factor)
    widths.push_back(static_cast<int64_t>(static_cast<double>(first) * power));
  return widths;
}

double factor_between(const std::vector<int64_t>& widths) {
  return widths.size() < 2 ? 2.0 : static_cast<double>(widths[1]) / static_cast<double>(widths[0]);
}

// Reads the fields of a HieraConfig of transformers.
class HieraFields {
 public:
  HieraFields(const nlohmann::json& config, const std::string& place)
      : config_(config), place_(place) {}
  template <typename T>
  void read(const char* key, T& field) const {
    if (const auto value = get_optional<T>(config_, key, place_)) field = *value;
  }
  void read_square(const char* key, int64_t& side) const {
    if (!has(key)) return;
    const auto [height, width] = sides_from_json(config_, key, place_, "transformers");
    check(height == width, "transformers",
          "{}: {} is not square, and Vitrail's Hiera has squares alone", place_, key);
    side = height;
  }
  void read_sides(const char* key, int64_t& height, int64_t& width) const {
    if (has(key)) std::tie(height, width) = sides_from_json(config_, key, place_, "transformers");
  }
  void read_flags(const char* key, std::vector<int64_t>& flags) const {
    if (!has(key)) return;
    flags.clear();
    for (const nlohmann::json& one : config_.at(key)) {
      check(one.is_boolean(), "transformers", "{}: {} takes true and false", place_, key);
      flags.push_back(one.get<bool>() ? 1 : 0);
    }
  }

 private:
  bool has(const char* key) const {
    const auto found = config_.find(key);
    return found != config_.end() && !found->is_null();
  }
  const nlohmann::json& config_;
  const std::string& place_;
};

const HieraConfig& hiera_of(const NetworkConfig& config) {
  return *config.get_if<HieraConfig>();
}

class HfHieraFamily : public HfNetwork {
 public:
  const char* name() const override { return "hf_hiera"; }
  const char* models() const override { return "transformers' Hiera"; }
  std::span<const HfModel> hf_models() const override { return kHfHiera; }
  std::span<const std::string_view> architectures() const override { return kHfHieraArchitectures; }
  std::span<const std::string_view> module_classes() const override { return kHfHieraClasses; }
  std::string_view network() const override { return HieraConfig::kType; }
  std::string_view mark() const override {
    return "encoder.stages.0.layers.0.layernorm_before.weight";
  }

  NameTables tables(const Spelling&) const override { return {{kHfHieraRows}, 0, false}; }
  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    const auto layer = [&](size_t stage, int64_t block) {
      return fmt::format("{}encoder.stages.{}.layers.{}.layernorm_before.weight", s.prefix, stage,
                         block);
    };
    for (size_t stage = 0; file.tensors().contains(layer(stage, 0)); ++stage) {
      int64_t blocks = 1;
      while (file.tensors().contains(layer(stage, blocks))) ++blocks;
      s.depths.push_back(blocks);
    }
  }
  Spelling spelling_for(const NetworkConfig& config) const override {
    return {.prefix = config.class_answer().classes > 0 ? "hiera." : "",
            .depths = hiera_of(config).depths};
  }

  // Block 3 behind a stage of two is layer 1 of stage 1.
  std::string numbered(const Spelling& s, std::string_view canonical) const override {
    constexpr std::string_view kBlocks = "blocks.";
    if (!canonical.starts_with(kBlocks)) return std::string(canonical);
    const std::string_view rest = canonical.substr(kBlocks.size());
    int64_t block = 0;
    const char* end = std::from_chars(rest.data(), rest.data() + rest.size(), block).ptr;
    size_t stage = 0;
    while (stage + 1 < s.depths.size() && block >= s.depths[stage]) block -= s.depths[stage++];
    return fmt::format("blocks.{}.{}{}", stage, block,
                       rest.substr(static_cast<size_t>(end - rest.data())));
  }

  std::span<const FieldRule> config_fields() const override { return kHfHieraFields; }
  NetworkConfig from_config(const nlohmann::json& config, const std::string& place) const override {
    HieraConfig c;
    const HieraFields fields(config, place);
    int64_t width = 96;
    double factor = 2;
    std::string activation = "gelu";
    fields.read("embed_dim", width);
    fields.read("embed_dim_multiplier", factor);
    fields.read("depths", c.depths);
    fields.read("num_heads", c.num_heads);
    fields.read("mlp_ratio", c.mlp_ratio);
    fields.read("num_query_pool", c.query_pools);
    fields.read("num_channels", c.in_channels);
    fields.read("layer_norm_eps", c.layer_norm_epsilon);
    fields.read("hidden_act", activation);
    fields.read_square("patch_size", c.patch_kernel);
    fields.read_square("patch_stride", c.patch_stride);
    fields.read_square("patch_padding", c.patch_padding);
    fields.read_square("query_stride", c.query_stride);
    fields.read_square("masked_unit_size", c.mask_unit);
    fields.read_sides("image_size", c.image_height, c.image_width);
    fields.read_flags("masked_unit_attention", c.mask_unit_attention);
    c.embed_dims = widths_of(width, factor, c.stages());
    c.activation = hf_activation(activation, place);
    for (size_t i = 1; i < c.mask_unit_attention.size(); ++i)
      check(c.mask_unit_attention[i] <= c.mask_unit_attention[i - 1], "transformers",
            "{}: masked_unit_attention has mask units behind a stage of global attention, which "
            "Vitrail does not implement",
            place);
    c.position_resize = PositionResize::bicubic;
    // Its code takes every table for a square one before it stretches it.
    c.fixed_positions = c.image_height != c.image_width;
    return c;
  }

  nlohmann::json to_config(const NetworkConfig& config) const override {
    const HieraConfig& c = hiera_of(config);
    const auto square = [](int64_t side) { return nlohmann::json{side, side}; };
    nlohmann::json out = {
        {"embed_dim", c.embed_dims.front()},
        {"image_size", {c.position_rows() * c.patch_stride, c.position_columns() * c.patch_stride}},
        {"patch_size", square(c.patch_kernel)},
        {"patch_stride", square(c.patch_stride)},
        {"patch_padding", square(c.patch_padding)},
        {"mlp_ratio", c.mlp_ratio},
        {"depths", c.depths},
        {"num_heads", c.num_heads},
        {"embed_dim_multiplier", factor_between(c.embed_dims)},
        {"num_query_pool", c.query_pools},
        {"query_stride", square(c.query_stride)},
        {"masked_unit_size", square(c.mask_unit)},
        {"num_channels", c.in_channels},
        {"hidden_act", hf_activation_name(c.activation, name())},
        {"layer_norm_eps", c.layer_norm_epsilon}};
    for (const int64_t units : c.mask_unit_attention)
      out["masked_unit_attention"].push_back(units != 0);
    return out;
  }
  void check_expressible(const NetworkConfig& config) const override {
    const HieraConfig& c = hiera_of(config);
    const auto require = [](bool can, const char* what) {
      check(can, "convert", "transformers' Hiera has no {}", what);
    };
    require(!c.layer_scale, "LayerScale");
    require(c.projected_residual, "residual of maximum and mean");
    require(!c.windowed_positions, "positions of windows");
    require(std::ranges::is_sorted(c.mask_unit_attention, std::greater()),
            "mask units behind a stage of global attention");
    int64_t most = 1;
    for (size_t i = 1; i < c.stages(); ++i) most *= c.query_stride;
    require(c.mask_unit == most, "mask units smaller than what its stages could pool");
    require(
        widths_of(c.embed_dims.front(), factor_between(c.embed_dims), c.stages()) == c.embed_dims,
        "widths that do not grow by one factor from stage to stage");
  }
};

}  // namespace

const Family* hf_hiera_family() {
  static const HfHieraFamily family;
  return &family;
}

}  // namespace vitrail
