#include "models/backbones/hiera_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

namespace vitrail {
namespace {

constexpr auto kHieraFields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("patch_kernel", c.patch_kernel);
  visit("patch_stride", c.patch_stride);
  visit("patch_padding", c.patch_padding);
  visit("depths", c.depths);
  visit("embed_dims", c.embed_dims);
  visit("num_heads", c.num_heads);
  visit("mask_unit_attention", c.mask_unit_attention);
  visit("mask_unit", c.mask_unit);
  visit("query_stride", c.query_stride);
  visit("query_pools", c.query_pools);
  visit("mlp_ratio", c.mlp_ratio);
  visit("activation", c.activation);
  visit("projected_residual", c.projected_residual);
  visit("layer_scale", c.layer_scale);
  visit("layer_scale_init", c.layer_scale_init);
  visit("layer_norm_epsilon", c.layer_norm_epsilon);
  visit("windowed_positions", c.windowed_positions);
  visit("position_grid_height", c.position_grid_height);
  visit("position_grid_width", c.position_grid_width);
  visit("position_resize", c.position_resize);
  visit("fixed_positions", c.fixed_positions);
};

constexpr int64_t kMostSide = 16384;

// base to the power of `exponent`.
int64_t power(int64_t base, int64_t exponent) {
  int64_t value = 1;
  for (int64_t i = 0; i < exponent; ++i) value *= base;
  return value;
}

}  // namespace

int64_t HieraConfig::num_blocks() const {
  return std::accumulate(depths.begin(), depths.end(), int64_t{0});
}

int64_t HieraConfig::cells(int64_t pixels, const char* axis) const {
  const int64_t count = (pixels + 2 * patch_padding - patch_kernel) / patch_stride + 1;
  // Every stage but the last has a side of tokens that the next one may pool.
  const int64_t multiple = power(query_stride, static_cast<int64_t>(stages()) - 1);
  check(pixels + 2 * patch_padding >= patch_kernel && count % multiple == 0, "hiera",
        "a picture {} of {} makes {} tokens, which must be a multiple of {}, as of {} pixels", axis,
        pixels, std::max<int64_t>(count, 0), multiple,
        std::max<int64_t>(count / multiple, 1) * multiple * patch_stride);
  return count;
}

int64_t HieraConfig::position_rows() const {
  return position_grid_height > 0 ? position_grid_height : cells(image_height, "height");
}

int64_t HieraConfig::position_columns() const {
  return position_grid_width > 0 ? position_grid_width : cells(image_width, "width");
}

int64_t HieraConfig::pools_before(size_t stage) const {
  return std::min(static_cast<int64_t>(stage), query_pools);
}

int64_t HieraConfig::pooled_by(size_t stage) const {
  return power(query_stride, pools_before(stage));
}

void HieraConfig::check_positions(int64_t rows, int64_t columns) const {
  check(!fixed_positions || (rows == position_rows() && columns == position_columns()), "hiera",
        "the model's positions are of {}x{} tokens, and its library does not stretch them to a "
        "picture of {}x{}",
        position_rows(), position_columns(), rows, columns);
}

void HieraConfig::set_image_size(int64_t height, int64_t width) {
  HieraConfig sized = *this;
  sized.position_grid_height = position_rows();
  sized.position_grid_width = position_columns();
  resize_pictures(sized, height, width);
  *this = sized;
}

void HieraConfig::validate() const {
  check_common();
  check_field("patch_kernel", patch_kernel, 1, 64);
  check_field("patch_stride", patch_stride, 1, 64);
  check_field("patch_padding", patch_padding, 0, patch_kernel - 1);
  check_stages("depths", stages(),
               {{"depths", depths, 1, 1024},
                {"embed_dims", embed_dims},
                {"num_heads", num_heads},
                {"mask_unit_attention", mask_unit_attention, 0, 1}});
  check_field("query_stride", query_stride, 1, 16);
  const int64_t last = static_cast<int64_t>(stages()) - 1;
  check_field("query_pools", query_pools, 0, last);
  check(mlp_ratio > 0 && mlp_ratio <= 64, kConfigPlace,
        "mlp_ratio is {}; it must lie between 0 and 64", mlp_ratio);
  check_epsilon("layer_norm_epsilon", layer_norm_epsilon);
  check_field("position_grid_height", position_grid_height, 0, kMostSide);
  check_field("position_grid_width", position_grid_width, 0, kMostSide);
  for (size_t i = 0; i < stages(); ++i) {
    check(embed_dims[i] % num_heads[i] == 0, kConfigPlace,
          "num_heads {} of stage {} does not divide its embed_dims, {}", num_heads[i], i,
          embed_dims[i]);
    if (i == 0) continue;
    check(embed_dims[i] != embed_dims[i - 1], kConfigPlace,
          "stage {} is as wide as the one before it, {}; each must have a width of its own", i,
          embed_dims[i]);
    check(projected_residual || embed_dims[i] == 2 * embed_dims[i - 1], kConfigPlace,
          "without projected_residual stage {} must be twice as wide as the one before it: {}, not "
          "{}",
          i, 2 * embed_dims[i - 1], embed_dims[i]);
  }
  // Tokens that lie together after so many halvings are a mask unit; smaller ones may be, too.
  int64_t halvings = 0;
  while (halvings < last && power(query_stride, halvings) < mask_unit) ++halvings;
  check(mask_unit == power(query_stride, halvings), kConfigPlace,
        "mask_unit is {}; it must be a power of query_stride, {}, and at most {}", mask_unit,
        query_stride, power(query_stride, last));
  for (size_t i = 0; i < stages(); ++i) {
    const bool units = mask_unit_attention[i] != 0 || (i > 0 && mask_unit_attention[i - 1] != 0);
    check(!units || mask_unit % pooled_by(i) == 0, kConfigPlace,
          "a mask_unit of {} has no whole token left in stage {}, whose tokens are pooled from "
          "{}x{}",
          mask_unit, i, pooled_by(i), pooled_by(i));
  }
  const int64_t rows = cells(image_height, "height"), columns = cells(image_width, "width");
  check(rows <= kMostSide && columns <= kMostSide, kConfigPlace,
        "a picture of {}x{} makes too many tokens", image_height, image_width);
  check_positions(rows, columns);
}

void write_fields(const HieraConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kHieraFields));
}

HieraConfig hiera_config_from_json(const nlohmann::json& in) {
  return config_from_fields<HieraConfig>(kHieraFields, in);
}

void set_field(HieraConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kHieraFields, name, value);
}

}  // namespace vitrail
