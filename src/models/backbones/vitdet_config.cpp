#include "models/backbones/vitdet_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace vitrail {
namespace {

constexpr auto kVitDetFields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("patch_height", c.patch_height);
  visit("patch_width", c.patch_width);
  visit("embed_dim", c.embed_dim);
  visit("depth", c.depth);
  visit("num_heads", c.num_heads);
  visit("mlp_hidden_dim", c.mlp_hidden_dim);
  visit("activation", c.activation);
  visit("qkv_bias", c.qkv_bias);
  visit("qk_norm", c.qk_norm);
  visit("layer_scale", c.layer_scale);
  visit("layer_scale_init", c.layer_scale_init);
  visit("layer_norm_epsilon", c.layer_norm_epsilon);
  visit("window_size", c.window_size);
  visit("global_blocks", c.global_blocks);
  visit("residual_blocks", c.residual_blocks);
  visit("absolute_positions", c.absolute_positions);
  visit("position_prefix", c.position_prefix);
  visit("position_grid_height", c.position_grid_height);
  visit("position_grid_width", c.position_grid_width);
  visit("position_resize", c.position_resize);
  visit("relative_positions", c.relative_positions);
  visit("relative_grid_height", c.relative_grid_height);
  visit("relative_grid_width", c.relative_grid_width);
  visit("fixed_positions", c.fixed_positions);
  visit("neck", c.neck);
  visit("neck_channels", c.neck_channels);
  visit("position_dropout", c.position_dropout);
  visit("dropout", c.dropout);
  visit("attention_dropout", c.attention_dropout);
};

constexpr int64_t kMostVitDetWidth = 65536, kMostVitDetSide = 16384;

int64_t whole_patches(int64_t pixels, int64_t patch, const char* axis) {
  if (pixels > 0 && pixels % patch == 0) return pixels / patch;
  const int64_t below = pixels / patch * patch;
  fail("vitdet", "a picture {} of {} is not a whole number of {} pixel patches, as {} is", axis,
       pixels, patch,
       below > 0 ? fmt::format("{} or {}", below, below + patch) : fmt::format("{}", patch));
}

bool contains_block(const std::vector<int64_t>& list, int64_t block) {
  return std::ranges::find(list, block) != list.end();
}

}  // namespace

bool VitDetConfig::is_global(int64_t block) const {
  return window_size == 0 || contains_block(global_blocks, block);
}

bool VitDetConfig::has_residual(int64_t block) const {
  return contains_block(residual_blocks, block);
}

int64_t VitDetConfig::grid_height(int64_t picture_height) const {
  return whole_patches(picture_height, patch_height, "height");
}

int64_t VitDetConfig::grid_width(int64_t picture_width) const {
  return whole_patches(picture_width, patch_width, "width");
}

int64_t VitDetConfig::position_rows() const {
  return position_grid_height > 0 ? position_grid_height : grid_height(image_height);
}

int64_t VitDetConfig::position_columns() const {
  return position_grid_width > 0 ? position_grid_width : grid_width(image_width);
}

int64_t VitDetConfig::relative_rows() const {
  return relative_grid_height > 0 ? relative_grid_height : grid_height(image_height);
}

int64_t VitDetConfig::relative_columns() const {
  return relative_grid_width > 0 ? relative_grid_width : grid_width(image_width);
}

void VitDetConfig::check_positions(int64_t rows, int64_t columns) const {
  if (!fixed_positions) return;
  const auto fits = [&](bool present, int64_t height, int64_t width) {
    check(!present || (height == rows && width == columns), "vitdet",
          "the model's positions are of {}x{} tokens, and its library does not stretch them to a "
          "picture of {}x{}",
          height, width, rows, columns);
  };
  fits(absolute_positions, position_rows(), position_columns());
  fits(relative_positions && (window_size == 0 || !global_blocks.empty()), relative_rows(),
       relative_columns());
}

void VitDetConfig::set_image_size(int64_t height, int64_t width) {
  VitDetConfig sized = *this;
  sized.position_grid_height = position_rows();
  sized.position_grid_width = position_columns();
  sized.relative_grid_height = relative_rows();
  sized.relative_grid_width = relative_columns();
  resize_pictures(sized, height, width);
  *this = sized;
}

void VitDetConfig::fit_positions() {
  position_grid_height = position_grid_width = relative_grid_height = relative_grid_width = 0;
}

void VitDetConfig::validate() const {
  check_common();
  check_field("patch_height", patch_height, 1, kMostVitDetSide);
  check_field("patch_width", patch_width, 1, kMostVitDetSide);
  check_field("embed_dim", embed_dim, 1, kMostVitDetWidth);
  check_field("depth", depth, 0, 1024);
  check_field("num_heads", num_heads, 1, embed_dim);
  check(embed_dim % num_heads == 0, kConfigPlace, "num_heads {} does not divide embed_dim {}",
        num_heads, embed_dim);
  check_field("mlp_hidden_dim", mlp_hidden_dim, 0, 16 * kMostVitDetWidth);
  check_epsilon("layer_norm_epsilon", layer_norm_epsilon);
  check_field("window_size", window_size, 0, 1024);
  for (const auto& [name, blocks] :
       {std::pair{"global_blocks", &global_blocks}, {"residual_blocks", &residual_blocks}}) {
    check(std::ranges::is_sorted(*blocks, std::less_equal()), kConfigPlace,
          "{} must name each block once, in ascending order", name);
    for (const int64_t block : *blocks) check_field(name, block, 0, 1023);
  }
  check(residual_blocks.empty() || embed_dim >= 2, kConfigPlace,
        "residual_blocks need an embed_dim of 2 at least");
  check_field("position_prefix", position_prefix, 0, absolute_positions ? 1 : 0);
  for (const auto& [name, side] : {std::pair{"position_grid_height", position_grid_height},
                                   {"position_grid_width", position_grid_width},
                                   {"relative_grid_height", relative_grid_height},
                                   {"relative_grid_width", relative_grid_width}})
    check_field(name, side, 0, kMostVitDetSide);
  if (neck == Neck::convolutions) check_field("neck_channels", neck_channels, 1, kMostVitDetWidth);
  check_rate("position_dropout", position_dropout);
  check_rate("dropout", dropout);
  check_rate("attention_dropout", attention_dropout);
  check_positions(grid_height(image_height), grid_width(image_width));
}

void write_fields(const VitDetConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kVitDetFields));
}

VitDetConfig vitdet_config_from_json(const nlohmann::json& in) {
  return config_from_fields<VitDetConfig>(kVitDetFields, in);
}

void set_field(VitDetConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kVitDetFields, name, value);
}

}  // namespace vitrail
