// EfficientFormerConfig: an EfficientFormer (Li et al. 2022), version 1, as data.
#pragma once

#include <string_view>
#include <vector>

#include "kernels/activation.h"
#include "models/picture_network_config.h"

namespace vitrail {

// Canonical parameter names are timm's: stem.{conv1, norm1, conv2, norm2}.*,
// stages.i.{downsample.*, blocks.j.*}, norm.*, head.*, head_dist.*. In the last stage the numbers j
// leave one out, in front of the first block with attention: timm has a module there that only
// reshapes.
struct EfficientFormerConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "efficientformer";

  std::vector<int64_t> depths{3, 2, 6, 4}, embed_dims{48, 96, 224, 448};  // of each stage
  int64_t num_vit = 1;  // the last blocks of the last stage have attention; the others pool
  double mlp_ratio = 4;
  int64_t pool_size = 3;                                 // odd
  int64_t num_heads = 8, key_dim = 32, value_dim = 128;  // of attention; the dims of a head
  int64_t attention_grid = 7;  // rows and columns of the last stage, for which the biases are
  kernels::Activation activation = kernels::Activation::gelu;
  double layer_scale_init = 1e-5;
  double dropout = 0;  // of the MLPs' outputs, and of what they activate

  int64_t num_blocks() const;
  // Rows or columns of the last stage, of so many pixels.
  int64_t cells(int64_t pixels) const;
  void set_image_size(int64_t height, int64_t width) { resize_pictures(*this, height, width); }
  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const EfficientFormerConfig&) const = default;
};

// As of PictureNetworkConfig.
void write_fields(const EfficientFormerConfig& config, nlohmann::json& out);
EfficientFormerConfig efficientformer_config_from_json(const nlohmann::json& json);
void set_field(EfficientFormerConfig& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const EfficientFormerConfig& config);

}  // namespace vitrail
