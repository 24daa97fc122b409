// XCiT, cross-covariance image transformers (El-Nouby et al. 2021): tokens by a tower of
// convolutions, blocks of attention over channels and of local patch interaction, then class
// attention.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/backbone.h"
#include "models/picture_network_config.h"
#include "models/pooling.h"
#include "nn/attention.h"
#include "nn/channel_attention.h"
#include "nn/convolutional_patches.h"
#include "nn/local_patch_interaction.h"
#include "nn/mlp.h"
#include "nn/position/fourier.h"

namespace vitrail {

// Canonical parameter names are timm's, but for the keys and values of class attention, which are
// one projection: cls_token, patch_embed.proj.i.{0, 1}.*, pos_embed.token_projection.*,
// blocks.i.{norm1, attn.{temperature, qkv, proj}, norm3, local_mp.{conv1, bn, conv2}, norm2,
// mlp.{fc1, fc2}, gamma1, gamma2, gamma3}, cls_attn_blocks.i.{norm1, attn.{q, kv, proj}, norm2,
// mlp.*, gamma1, gamma2}, norm, head.
// drop_path is that of every block among the patches, and of no class block.
struct XcitConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "xcit";

  int64_t patch_size = 16;  // or 8: a convolution for each halving
  bool fourier_positions = true;
  int64_t embed_dim = 128, depth = 12, class_depth = 2, num_heads = 4;
  int64_t mlp_hidden_dim = 512;
  kernels::Activation activation = kernels::Activation::gelu;
  bool qkv_bias = true;
  bool tokens_norm = false;  // class attention normalises the patches behind it, too
  double layer_norm_epsilon = 1e-6;
  double layer_scale_init = 1;
  Pooling pooling = Pooling::class_token;  // or mean: of the patches
  double position_dropout = 0, dropout = 0, attention_dropout = 0;

  int64_t num_blocks() const { return depth + class_depth; }
  void set_image_size(int64_t height, int64_t width);

  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const XcitConfig&) const = default;
};

// As of PictureNetworkConfig.
void write_fields(const XcitConfig& config, nlohmann::json& out);
XcitConfig xcit_config_from_json(const nlohmann::json& json);
void set_field(XcitConfig& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const XcitConfig& config);

class XcitBlock;
class XcitClassBlock;

class XcitBackbone : public Backbone {
 public:
  // config is one that validate() accepts.
  XcitBackbone(const Scope& root, const XcitConfig& config);
  ~XcitBackbone() override;

  // One feature: the class token, then the patches, normalised. The observer is told "patch_embed",
  // "tokens" (positions added), "blocks.i" [B, N, D], "cls_attn_blocks.i" [B, 1 + N, D] and "norm".
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;
  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override { return config_.embed_dim; }
  std::vector<BlockPlace> blocks() const override;
  // Those of the class token: attention over channels has no map over tokens.
  std::vector<AttentionLayer> attentions() const override;
  AttentionGrids attention_grids(const AttentionLayer& layer, int64_t picture_height,
                                 int64_t picture_width) const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  XcitConfig config_;
  ConvolutionalPatches patch_embed_;
  Parameter& cls_token_;
  std::optional<FourierPositions> position_;
  std::vector<std::unique_ptr<XcitBlock>> blocks_;
  std::vector<std::unique_ptr<XcitClassBlock>> class_blocks_;
  LayerNorm norm_;
};

}  // namespace vitrail
