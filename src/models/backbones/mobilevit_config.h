// MobileVitConfig: a MobileViT (Mehta and Rastegari 2022), version 1 or 2, as data.
#pragma once

#include <string_view>
#include <vector>

#include "kernels/activation.h"
#include "models/picture_network_config.h"
#include "nn/mobilevit_block.h"

namespace vitrail {

// Canonical parameter names are timm's: stem.{conv, bn}.*, stages.i.j.{conv1_1x1, conv2_kxk,
// conv3_1x1}.* for the inverted residuals of a stage, and behind them, in its last stages,
// stages.i.j.{conv_kxk, conv_1x1, transformer.k, norm, conv_proj, conv_fusion}.*; final_conv.*, and
// the head's head.* (timm's head.fc).
struct MobileVitConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "mobilevit";

  bool separable = false;  // version 2: attention of linear cost, GroupNorm, no fusion
  int64_t stem_channels = 16;
  // Of each stage; both lists are as long. All but the first halve the map.
  std::vector<int64_t> channels{32, 64, 96, 128, 160}, depths{1, 3, 1, 1, 1};
  double expand_ratio = 4;  // of the inverted residuals; their width is rounded to multiples of 8
  // Of the last stages, as many as these lists name.
  std::vector<int64_t> transformer_dims{144, 192, 240}, transformer_depths{2, 4, 3};
  std::vector<int64_t> mlp_hidden_dims{288, 384, 480};
  int64_t num_heads = 4;  // of version 1
  bool qkv_bias = true;   // of version 1
  int64_t patch_size = 2;
  PatchFit patch_fit = PatchFit::resized_back;
  int64_t kernel_size = 3;       // of the blocks' convolutions, odd; inverted residuals have 3
  int64_t final_channels = 640;  // of a last 1x1 convolution; 0: there is none
  kernels::Activation activation = kernels::Activation::silu;
  double layer_norm_epsilon = 1e-5;
  double dropout = 0;                             // of the branches' outputs
  double mlp_dropout = 0, attention_dropout = 0;  // of what MLPs activate; of attention weights

  // Inverted residuals, and transformers with the convolutions around them.
  int64_t num_blocks() const;
  // Stages in front of the first transformer.
  size_t plain_stages() const { return channels.size() - transformer_dims.size(); }
  int64_t final_width() const { return final_channels > 0 ? final_channels : channels.back(); }
  void set_image_size(int64_t height, int64_t width) { resize_pictures(*this, height, width); }
  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const MobileVitConfig&) const = default;
};

// The width inside an inverted residual: the product, rounded to whole numbers and those to the
// nearest multiple of 8, but not below nine tenths (Howard et al. 2019, MobileNet v3).
int64_t expanded_channels(int64_t channels, double ratio);

// Whether the maps that meet a transformer are whole patches, for the configuration's pictures.
bool has_whole_patches(const MobileVitConfig& config);

// As of PictureNetworkConfig.
void write_fields(const MobileVitConfig& config, nlohmann::json& out);
MobileVitConfig mobilevit_config_from_json(const nlohmann::json& json);
void set_field(MobileVitConfig& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const MobileVitConfig& config);

}  // namespace vitrail
