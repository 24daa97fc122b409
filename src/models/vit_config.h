// VitConfig: every Vision Transformer that Vitrail knows, as data.
//
// ViT, DeiT, DINOv2, ViT-Lite, CVT, CCT and the minimal teaching ViT are rows of one table
// (models/architectures.h), not classes. Letters: D embed_dim, H num_heads, d head_dim.
//
// Canonical parameter names (timm's, with additions where timm has none):
//   patch_embed.{proj.weight [D, C, ph, pw], proj.bias}       PatchEmbedding::convolution
//   patch_embed.{proj.weight [D, ph*pw*C], proj.bias}         PatchEmbedding::linear
//   patch_embed.{norm_in, norm_out}.{weight, bias}            patch_norm (LayerNorm around it)
//   patch_embed.norm.*                                        patch_output_norm
//   tokenizer.conv_layers.i.weight [out, in, k, k]            PatchEmbedding::tokenizer
//   patch_embed.backbone.{conv1.weight, bn1.*,                PatchEmbedding::resnet; torchvision's
//     layer<s>.i.{conv1.weight, bn1.*,   conv2...,            names; norm for bn with groups
//                 downsample.0.weight, downsample.1.*}}     nn/resnet.h has those of other forms
//   patch_embed.proj.{weight [D, C, ph, pw], bias}            resnet_projection
//   cls_token, dist_token [1, 1, D]; reg_token [1, R, D]; pos_embed [1, P, D]; norm_pre.*
//   rope.freqs [2, depth, H, d/2]                             Rotary::mixed
//   rope.periods [d/4]                                        rotary_stored_periods
//   rel_pos_bias.relative_position_bias_table [E, H]          shared_relative_position table
//   shared_rel_pos.mlp.{fc1, fc2}                             shared_relative_position mlp*
//   blocks.i.{norm1, attn.{qkv, q_norm, k_norm, norm, proj}, ls1.gamma,
//             norm2, mlp.{fc1, fc1_g, fc1_x, norm, fc2}, ls2.gamma}
//   blocks.i.attn.{q_bias, v_bias} [H*d]                      key_bias false, for attn.qkv.bias
//   blocks.i.attn.relative_position_bias_table [E, H]         relative_position table
//   blocks.i.attn.rel_pos.mlp.{fc1, fc2}                      relative_position mlp*
//   blocks.i.pre_norm.*                                       NormPlacement::cct only
//   blocks.i.{norm1, attn, ls1.gamma, mlp}                    NormPlacement::parallel
//   blocks.i.{attns, ffns}.j.{norm, attn or mlp, ls.gamma}    parallel_branches
//   blocks.i.attn.{lambda_{q1,k1,q2,k2}, sub_norm.weight}     differential_attention
//   norm.*, fc_norm.*
//   pre_logits.fc.{weight [pre_logits_dim, D], bias}
//   attn_pool.{latent, q, kv, proj, norm, mlp.{fc1, fc2}}     Pooling::map, map_all
//   sequence_pool.{weight [1, D], bias}                       Pooling::sequence
//   head.*, head_dist.*
// attn.qkv.weight is [3*H*d, D], rows in the order q, k, v, heads outermost within each.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "kernels/activation.h"
#include "kernels/layer_norm.h"
#include "models/heads/classifier_config.h"
#include "models/picture_network_config.h"
#include "nn/block.h"
#include "nn/patch_embedding.h"
#include "nn/position/relative.h"
#include "nn/position/relative_mlp.h"
#include "nn/position/rotary.h"
#include "nn/position_embedding.h"
#include "nn/resnet_config.h"

namespace vitrail {

// What is added to the scores by relative position (nn/position/relative.h, relative_mlp.h).
struct RelativeConfig {
  RelativePosition per_block = RelativePosition::none, shared = RelativePosition::none;
  RelativePositionConfig table{.resize = RelativeResize::geometric};
  RelativeMlpConfig network{.hidden_dim = 128};  // of mlp and mlp_swin
  bool has_table() const {
    return per_block == RelativePosition::table || shared == RelativePosition::table;
  }
  bool present() const {
    return per_block != RelativePosition::none || shared != RelativePosition::none;
  }
  bool operator==(const RelativeConfig&) const = default;
};

// The tokens before the patches, in this order.
struct PrefixTokens {
  bool class_token = true, distillation_token = false;
  int64_t register_tokens = 0;
  int64_t count() const {
    return (class_token ? 1 : 0) + (distillation_token ? 1 : 0) + register_tokens;
  }
  bool operator==(const PrefixTokens&) const = default;
};

// The parts are the configurations that the modules take. What a part has from its surroundings it
// is given when it is built and is not set here: widths (embed_dim, channels, heads of positions),
// the kind of norm and its epsilon, the grid where it is that of the picture.
struct VitConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "vit";

  PatchEmbedding patch_embedding = PatchEmbedding::convolution;
  PatchEmbeddingConfig patches;
  ConvTokenizerConfig tokenizer;
  ResNetConfig resnet;  // embed_dim is the last of its channels
  // Patches of the feature map, patches.patch_height x patch_width cells each, are projected to
  // tokens of any width.
  bool resnet_projection = false;

  int64_t embed_dim = 768, depth = 12;
  // What every norm is, but those of patches.norms and of residual networks.
  NormKind norm = NormKind::layer;
  double layer_norm_epsilon = 1e-6;  // of RMSNorm as well, and of residual networks' norms, too
  // attention.head_dim 0: embed_dim / num_heads; mlp.hidden 0: 4 * embed_dim; drop_path is the
  // network's.
  BlockConfig block{.attention = {.num_heads = 12}};
  bool drop_path_constant = false;  // every block has it; else it grows linearly from 0

  PrefixTokens tokens;
  // Its prefix may be less than all tokens before the patches: registers beyond it have no
  // position. Its grid is that which it and tables by relative position were stored for; 0: the
  // grid of image_height x image_width.
  PositionConfig position{.prefix = 1};
  RotaryConfig rotary;      // of the patches; the tokens before them are not turned
  RelativeConfig relative;  // of the blocks' attention
  bool pre_norm = false;    // norm_pre after the position embedding (CLIP)
  bool final_norm = true;   // norm over all tokens after the blocks
  // map.num_heads 0: those of the blocks; map.mlp_hidden_dim 0: mlp_hidden(); the answer is the
  // network's.
  ClassifierConfig head{.map = {.num_heads = 0}};

  int64_t head_size() const {
    return block.attention.head_dim > 0 ? block.attention.head_dim
                                        : embed_dim / block.attention.num_heads;
  }
  int64_t mlp_hidden() const { return block.mlp.hidden > 0 ? block.mlp.hidden : 4 * embed_dim; }
  int64_t prefix_tokens() const { return tokens.count(); }
  int64_t pooling_dim() const {
    return head.pooling == Pooling::class_and_mean ? 2 * embed_dim : embed_dim;
  }
  int64_t num_blocks() const { return depth; }
  // Whether positions are stored for each place of a grid, and resized to another.
  bool has_position_grid() const {
    return position.kind == Position::learned || relative.has_table();
  }
  // What the head reads.
  int64_t pooled_dim() const {
    return head.pre_logits_dim > 0 ? head.pre_logits_dim : pooling_dim();
  }
  // Whether a token is a cell of a feature map, and not a patch of patch_height x patch_width
  // pixels.
  bool has_feature_map() const {
    return patch_embedding == PatchEmbedding::tokenizer ||
           patch_embedding == PatchEmbedding::resnet;
  }
  // Patches along each axis for a picture of this size. Error: the size does not fit.
  int64_t grid_height(int64_t picture_height) const;
  int64_t grid_width(int64_t picture_width) const;

  // Takes pictures of another size from here on; the table of positions stays one of its own grid,
  // and is stretched by position_resize. Error: as grid_height().
  void set_image_size(int64_t height, int64_t width);

  void fit_positions() { position.grid_height = position.grid_width = 0; }

  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const VitConfig&) const = default;
};

// Every field, by its name here; enums as their words. from_json: missing fields keep the default,
// unknown fields and wrong types are an Error; the result is validated.
void write_fields(const VitConfig& config, nlohmann::json& out);
VitConfig vit_config_from_json(const nlohmann::json& json);
// One field by name, from text ("num_heads=4"): what --set does. Error: unknown name, bad value.
void set_field(VitConfig& config, const std::string& name, const std::string& value);
// models/vit.h. Error: the config's.
std::shared_ptr<Network> make_network(const VitConfig& config);

// The fields of a configuration that is of the plain Vision Transformer. Error: it is of another
// type of network.
VitConfig& as_vit(NetworkConfig& config);
const VitConfig& as_vit(const NetworkConfig& config);

}  // namespace vitrail
