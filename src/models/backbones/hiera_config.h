// The configuration of a Hiera (Ryali et al. 2023, "Hiera: A Hierarchical Vision Transformer
// without the Bells-and-Whistles").
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/activation.h"
#include "models/picture_network_config.h"
#include "nn/variants.h"

namespace vitrail {

// Canonical parameter names are timm's: patch_embed.proj.*, pos_embed, pos_embed_win, blocks.i.{
// norm1, attn.qkv, attn.proj, proj, ls1.gamma, norm2, mlp.fc1, mlp.fc2, ls2.gamma}.*; fc_norm.* and
// head.* stand for its head.norm and head.fc.
struct HieraConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "hiera";

  int64_t patch_kernel = 7, patch_stride = 4, patch_padding = 3;  // of the first convolution
  // Of each stage; the lists are as long.
  std::vector<int64_t> depths{2, 3, 16, 3}, embed_dims{96, 192, 384, 768}, num_heads{1, 2, 4, 8};
  // Whether a stage attends within mask units (1) or among all its tokens (0). The first block of a
  // stage does as the stage before it.
  std::vector<int64_t> mask_unit_attention{1, 1, 0, 0};
  // Side of a mask unit in tokens of the first stage: a power of query_stride. Later stages have
  // smaller ones, as their tokens are pooled.
  int64_t mask_unit = 8;
  int64_t query_stride = 2;  // side of the square of tokens that becomes one between stages
  int64_t query_pools = 3;   // how many stages pool on their way in: the first so many after one
  double mlp_ratio = 4;      // hidden width over embed_dims
  kernels::Activation activation = kernels::Activation::gelu;
  // false: at a change of width the residual is maximum and mean of the tokens, side by side.
  bool projected_residual = true;
  bool layer_scale = false;
  double layer_scale_init = 1e-5;
  double layer_norm_epsilon = 1e-6;
  // Positions of a mask unit, repeated in each, and those of the grid, which are stretched.
  bool windowed_positions = false;
  int64_t position_grid_height = 0, position_grid_width = 0;  // of pos_embed; 0: the picture's own
  PositionResize position_resize = PositionResize::bicubic_antialias;
  // Its library takes pictures of no other size than the positions were made for.
  bool fixed_positions = false;

  size_t stages() const { return depths.size(); }
  int64_t num_blocks() const;
  // Of the first stage, along an axis of so many pixels. Error: no mask units are made of it.
  int64_t cells(int64_t pixels, const char* axis) const;
  int64_t position_rows() const;
  int64_t position_columns() const;
  // Error: positions are not stretched to a grid of this size.
  void check_positions(int64_t rows, int64_t columns) const;
  // How often tokens have been pooled when a stage's blocks see them.
  int64_t pools_before(size_t stage) const;
  // By how much the grid of a stage is smaller than the first one, along each side.
  int64_t pooled_by(size_t stage) const;
  // Side of a mask unit in tokens of this stage.
  int64_t unit(size_t stage) const { return mask_unit / pooled_by(stage); }

  void set_image_size(int64_t height, int64_t width);
  void fit_positions() { position_grid_height = position_grid_width = 0; }
  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const HieraConfig&) const = default;
};

void write_fields(const HieraConfig& config, nlohmann::json& out);
HieraConfig hiera_config_from_json(const nlohmann::json& in);
void set_field(HieraConfig& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const HieraConfig& config);

}  // namespace vitrail
