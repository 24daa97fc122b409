// TinyVitConfig: a TinyViT (Wu et al. 2022) as data.
#pragma once

#include <string_view>
#include <vector>

#include "kernels/activation.h"
#include "models/picture_network_config.h"

namespace vitrail {

// Canonical parameter names are timm's: patch_embed.conv{1,2}.*, stages.0.blocks.j.conv{1,2,3}.*,
// stages.i.{downsample.conv{1,2,3}.*, blocks.j.{attn, local_conv, mlp}.*}, and the head's
// fc_norm.*, head.* (timm's head.norm, head.fc).
struct TinyVitConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "tiny_vit";

  // Of each stage; all lists are as long. The first stage is convolutional: it has no heads and no
  // windows, and its entries of those lists are not read.
  std::vector<int64_t> embed_dims{96, 192, 384, 768}, depths{2, 2, 6, 2};
  std::vector<int64_t> num_heads{3, 6, 12, 24}, window_sizes{7, 7, 14, 7};
  double mlp_ratio = 4;            // hidden width over embed_dim
  double mbconv_expand_ratio = 4;  // the same of the convolutional blocks
  int64_t local_conv_size = 3;     // odd
  double dropout = 0;              // of the branches' outputs, and of what the MLPs activate
  kernels::Activation activation = kernels::Activation::gelu;

  int64_t num_blocks() const;
  void set_image_size(int64_t height, int64_t width) { resize_pictures(*this, height, width); }
  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const TinyVitConfig&) const = default;
};

// As of PictureNetworkConfig.
void write_fields(const TinyVitConfig& config, nlohmann::json& out);
TinyVitConfig tiny_vit_config_from_json(const nlohmann::json& json);
void set_field(TinyVitConfig& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const TinyVitConfig& config);

}  // namespace vitrail
