// The configuration of a Vision Transformer of one width whose attention is in windows, but for
// some blocks: ViTDet (Li et al. 2022, "Exploring Plain Vision Transformer Backbones for Object
// Detection") and the image encoder of SAM (Kirillov et al. 2023, appendix A).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/activation.h"
#include "models/picture_network_config.h"
#include "nn/variants.h"

namespace vitrail {

// What follows the blocks.
enum class Neck : uint8_t {
  none,
  norm,         // LayerNorm over the channels
  convolutions  // 1x1 and 3x3 to neck_channels, LayerNorm behind each (SAM)
};
inline constexpr std::array kNecks{Word{Neck::none, "none"}, Word{Neck::norm, "norm"},
                                   Word{Neck::convolutions, "convolutions"}};
constexpr auto words_of(Neck) {
  return std::span(kNecks);
}

// Canonical parameter names are timm's VisionTransformerSAM's: patch_embed.proj.*, pos_embed,
// blocks.i.{norm1, attn.{qkv, proj, q_norm, k_norm}, ls1.gamma, norm2, mlp.fc1, mlp.fc2,
// ls2.gamma}.*, blocks.i.attn.{rel_pos_h, rel_pos_w}, neck.* or neck.{conv1, norm1, conv2, norm2}.*
// for its neck.0 to neck.3; head.* for its head.fc; of ViTDet blocks.i.residual.{conv1, norm1,
// conv2, norm2, conv3, norm3}.
struct VitDetConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "vitdet";

  int64_t patch_height = 16, patch_width = 16;
  int64_t embed_dim = 768, depth = 12, num_heads = 12;
  int64_t mlp_hidden_dim = 0;  // 0: four times embed_dim
  kernels::Activation activation = kernels::Activation::gelu;
  bool qkv_bias = true;
  bool qk_norm = false;
  bool layer_scale = false;
  double layer_scale_init = 1e-5;
  double layer_norm_epsilon = 1e-6;  // of the blocks; that of neck and residual blocks is 1e-6

  int64_t window_size = 14;              // side of a window in tokens; 0: all blocks are global
  std::vector<int64_t> global_blocks;    // that attend among all tokens; the others in windows
  std::vector<int64_t> residual_blocks;  // behind which convolutions follow

  bool absolute_positions = true;
  int64_t position_prefix = 0;  // rows of pos_embed before the grid's, which no token has
  int64_t position_grid_height = 0, position_grid_width = 0;  // of pos_embed; 0: the picture's own
  PositionResize position_resize = PositionResize::bicubic_antialias;
  bool relative_positions = true;
  // Of the relative tables of global blocks; 0: the picture's own.
  int64_t relative_grid_height = 0, relative_grid_width = 0;
  // Its library takes pictures of no other size than the positions were made for.
  bool fixed_positions = false;

  Neck neck = Neck::convolutions;
  int64_t neck_channels = 256;
  double position_dropout = 0, dropout = 0, attention_dropout = 0;

  int64_t num_blocks() const { return depth; }
  int64_t head_dim() const { return embed_dim / num_heads; }
  int64_t mlp_hidden() const { return mlp_hidden_dim > 0 ? mlp_hidden_dim : 4 * embed_dim; }
  bool is_global(int64_t block) const;
  bool has_residual(int64_t block) const;
  // Width of the tokens behind the neck.
  int64_t output_dim() const { return neck == Neck::convolutions ? neck_channels : embed_dim; }
  // Patches along an axis. Error: no whole number.
  int64_t grid_height(int64_t picture_height) const;
  int64_t grid_width(int64_t picture_width) const;
  int64_t position_rows() const;
  int64_t position_columns() const;
  int64_t relative_rows() const;
  int64_t relative_columns() const;
  // Error: positions are not stretched to a grid of this size.
  void check_positions(int64_t rows, int64_t columns) const;

  void set_image_size(int64_t height, int64_t width);
  void fit_positions();
  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const VitDetConfig&) const = default;
};

void write_fields(const VitDetConfig& config, nlohmann::json& out);
VitDetConfig vitdet_config_from_json(const nlohmann::json& in);
void set_field(VitDetConfig& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const VitDetConfig& config);

}  // namespace vitrail
