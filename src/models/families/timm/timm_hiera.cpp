// timm's Hiera: the published sizes, and those with positions of windows ("abswin").
#include <algorithm>
#include <array>

#include "core/error.h"
#include "models/backbones/hiera_config.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

struct HieraDefinition {
  std::string_view name;
  int embed_dim, num_heads;
  std::array<int, 4> depths;
  int window_grid = 0;  // of positions that are stretched; 0: those of the picture alone
  bool layer_scale = false, projected = true;
};
constexpr HieraDefinition kHieraDefinitions[] = {
    {"hiera_tiny_224", 96, 1, {1, 2, 7, 2}},
    {"hiera_small_224", 96, 1, {1, 2, 11, 2}},
    {"hiera_base_224", 96, 1, {2, 3, 16, 3}},
    {"hiera_base_plus_224", 112, 2, {2, 3, 16, 3}},
    {"hiera_large_224", 144, 2, {2, 6, 36, 4}},
    {"hiera_huge_224", 256, 4, {2, 6, 36, 4}},
    {"hiera_small_abswin_256", 96, 1, {1, 2, 11, 2}, 16, true, false},
    {"hiera_base_abswin_256", 96, 1, {2, 3, 16, 3}, 14, true, true},
};

constexpr NameRow kTimmHieraRows[] = {
    {"fc_norm", {"@head.norm"}},
    {"head", {"@head.fc"}},
};

constexpr FieldRule kTimmHieraArguments[] = {
    {"embed_dim"},
    {"num_heads"},
    {"global_pool", FieldRule::kOnly, R"(["avg"])"},
    {"stages"},
    {"q_pool"},
    {"q_stride"},
    {"mask_unit_size"},
    {"mask_unit_attn"},
    {"use_expand_proj"},
    {"dim_mul"},
    {"head_mul"},
    {"patch_kernel"},
    {"patch_stride"},
    {"patch_padding"},
    {"mlp_ratio"},
    {"init_values"},
    {"fix_init", FieldRule::kFlag},
    {"patch_drop_rate", FieldRule::kNumber},
    {"head_init_scale", FieldRule::kNumber},
    {"sep_pos_embed", FieldRule::kOnly, "[false]"},
    {"abs_win_pos_embed"},
    {"global_pos_size"},
};

// Stage by stage, the product cut to a whole number each time.
std::vector<int64_t> multiplied(int64_t first, double factor, size_t stages) {
  std::vector<int64_t> values;
  for (size_t i = 0; i < stages; ++i)
    values.push_back(i == 0 ? first
                            : static_cast<int64_t>(static_cast<double>(values.back()) * factor));
  return values;
}

// The factor from which multiplied() makes these values. Error: there is none.
double factor_of(const char* name, const std::vector<int64_t>& values) {
  const double factor =
      values.size() < 2 ? 2.0 : static_cast<double>(values[1]) / static_cast<double>(values[0]);
  check(multiplied(values.front(), factor, values.size()) == values, "convert",
        "timm's Hiera has {} that grow by one factor from stage to stage", name);
  return factor;
}

void read_square(const TimmArguments& arguments, const char* key, int64_t& side) {
  int64_t height = side, width = side;
  arguments.read_sides(key, height, width);
  check(height == width, "timm", "{}: {} is not square, and Vitrail's Hiera has squares alone",
        arguments.place(), key);
  side = height;
}

HieraConfig hiera_definition(const HieraDefinition& of) {
  HieraConfig c;
  c.architecture = of.name;
  c.image_height = c.image_width = of.window_grid > 0 ? 256 : 224;
  c.depths.assign(of.depths.begin(), of.depths.end());
  c.embed_dims = multiplied(of.embed_dim, 2, c.stages());
  c.num_heads = multiplied(of.num_heads, 2, c.stages());
  c.layer_scale = of.layer_scale;
  c.projected_residual = of.projected;
  c.windowed_positions = of.window_grid > 0;
  c.position_grid_height = c.position_grid_width = of.window_grid;
  c.fixed_positions = of.window_grid == 0;
  return c;
}

const HieraConfig& as_hiera(const NetworkConfig& config) {
  return *config.get_if<HieraConfig>();
}

void apply_sizes(HieraConfig& c, const TimmArguments& arguments) {
  int64_t dim = c.embed_dims.front(), heads = c.num_heads.front();
  double dim_factor = 2, head_factor = 2;
  arguments.read("embed_dim", dim);
  arguments.read("num_heads", heads);
  arguments.read("stages", c.depths);
  arguments.read("dim_mul", dim_factor);
  arguments.read("head_mul", head_factor);
  c.embed_dims = multiplied(dim, dim_factor, c.stages());
  c.num_heads = multiplied(heads, head_factor, c.stages());
  if (arguments.has("mask_unit_attn")) {
    c.mask_unit_attention.clear();
    for (const nlohmann::json& one : arguments.value("mask_unit_attn")) {
      check(one.is_boolean(), "timm", "{}: mask_unit_attn takes true and false", arguments.place());
      c.mask_unit_attention.push_back(one.get<bool>() ? 1 : 0);
    }
  }
  // The library reads as many as there are stages.
  if (c.mask_unit_attention.size() > c.stages()) c.mask_unit_attention.resize(c.stages());
}

void apply_positions(HieraConfig& c, const TimmArguments& arguments) {
  arguments.read("abs_win_pos_embed", c.windowed_positions);
  c.fixed_positions = !c.windowed_positions;
  if (!c.windowed_positions) {
    c.position_grid_height = c.position_grid_width = 0;
    return;
  }
  if (c.position_grid_height == 0) c.position_grid_height = c.position_grid_width = 14;
  arguments.read_sides("global_pos_size", c.position_grid_height, c.position_grid_width);
}

class TimmHieraFamily : public TimmNetwork {
 public:
  const char* name() const override { return "timm_hiera"; }
  const char* models() const override { return "timm's Hiera"; }
  std::string_view network() const override { return HieraConfig::kType; }
  std::string_view mark() const override { return "head.norm.weight"; }
  NameTables tables(const Spelling&) const override { return {{kTimmHieraRows}, 0, true}; }

  // Other models of timm have such a norm; none of them has blocks of these names without tables
  // of positions.
  std::optional<Claim> recognise(const FileEvidence& file) const override {
    auto claim = TimmNetwork::recognise(file);
    if (!claim) return claim;
    const TensorSource& tensors = file.tensors();
    const bool own = tensors.contains(claim->prefix + "blocks.0.attn.qkv.weight") &&
                     tensors.contains(claim->prefix + "patch_embed.proj.weight") &&
                     !tensors.contains(claim->prefix + "blocks.0.attn.rel_pos_h");
    return own ? claim : std::nullopt;
  }

  std::vector<std::string_view> model_names() const override {
    std::vector<std::string_view> names;
    for (const HieraDefinition& one : kHieraDefinitions) names.push_back(one.name);
    return names;
  }
  PublishedModel published_model(std::string_view name) const override {
    const auto* found = std::ranges::find(kHieraDefinitions, name, &HieraDefinition::name);
    const bool windowed = found->window_grid > 0;
    return {hiera_definition(*found),
            timm_preprocess({.side = windowed ? 256 : 224, .crop_permille = windowed ? 950 : 900})};
  }

  std::span<const FieldRule> arguments() const override { return kTimmHieraArguments; }
  void apply_arguments(NetworkConfig& config, const TimmArguments& arguments) const override {
    HieraConfig& c = *config.get_if<HieraConfig>();
    apply_sizes(c, arguments);
    arguments.read("q_pool", c.query_pools);
    read_square(arguments, "q_stride", c.query_stride);
    read_square(arguments, "mask_unit_size", c.mask_unit);
    read_square(arguments, "patch_kernel", c.patch_kernel);
    read_square(arguments, "patch_stride", c.patch_stride);
    read_square(arguments, "patch_padding", c.patch_padding);
    arguments.read("use_expand_proj", c.projected_residual);
    arguments.read("mlp_ratio", c.mlp_ratio);
    c.layer_scale = c.layer_scale || arguments.has("init_values");
    arguments.read("init_values", c.layer_scale_init);
    apply_positions(c, arguments);
  }

  void make_for(NetworkConfig& config, int64_t height, int64_t width) const override {
    config.set_pictures({config.pictures().channels, height, width});
  }

  std::string_view written_architecture(const NetworkConfig& config) const override {
    const HieraConfig& c = as_hiera(config);
    // An argument takes LayerScale on, and none takes it off.
    const auto fits = [&](const HieraDefinition& one) {
      return (one.window_grid > 0) == c.windowed_positions && (!one.layer_scale || c.layer_scale);
    };
    for (const HieraDefinition& one : kHieraDefinitions)
      if (one.name == c.architecture && fits(one)) return one.name;
    return c.windowed_positions && c.layer_scale ? "hiera_base_abswin_256" : "hiera_base_224";
  }
  nlohmann::json arguments_for(const NetworkConfig& config) const override {
    const HieraConfig& c = as_hiera(config);
    const auto square = [](int64_t side) { return nlohmann::json{side, side}; };
    nlohmann::json out = {{"img_size", {c.image_height, c.image_width}},
                          {"embed_dim", c.embed_dims.front()},
                          {"num_heads", c.num_heads.front()},
                          {"stages", c.depths},
                          {"dim_mul", factor_of("widths", c.embed_dims)},
                          {"head_mul", factor_of("numbers of heads", c.num_heads)},
                          {"q_pool", c.query_pools},
                          {"q_stride", square(c.query_stride)},
                          {"mask_unit_size", square(c.mask_unit)},
                          {"use_expand_proj", c.projected_residual},
                          {"patch_kernel", square(c.patch_kernel)},
                          {"patch_stride", square(c.patch_stride)},
                          {"patch_padding", square(c.patch_padding)},
                          {"mlp_ratio", c.mlp_ratio},
                          {"abs_win_pos_embed", c.windowed_positions}};
    for (const int64_t units : c.mask_unit_attention) out["mask_unit_attn"].push_back(units != 0);
    if (c.layer_scale) out["init_values"] = c.layer_scale_init;
    if (c.windowed_positions) out["global_pos_size"] = {c.position_rows(), c.position_columns()};
    return out;
  }
  void check_expressible(const NetworkConfig& config) const override {
    const HieraConfig& c = as_hiera(config);
    const auto require = [](bool can, const char* what) {
      check(can, "convert", "timm's Hiera has no {}", what);
    };
    require(c.activation == kernels::Activation::gelu, "activation but gelu");
    require(c.layer_norm_epsilon == 1e-6, "epsilon of LayerNorm but 1e-6");
    require(c.windowed_positions || (c.position_rows() == c.cells(c.image_height, "height") &&
                                     c.position_columns() == c.cells(c.image_width, "width")),
            "positions of another grid than the picture's; convert it at the size that it was made "
            "for");
    (void)factor_of("widths", c.embed_dims);
    (void)factor_of("numbers of heads", c.num_heads);
  }
};

}  // namespace

const Family* timm_hiera_family() {
  static const TimmHieraFamily family;
  return &family;
}

}  // namespace vitrail
