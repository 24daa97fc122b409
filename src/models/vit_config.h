// VisionTransformerConfig: every Vision Transformer that Vitrail knows, as data.
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
#include "models/network_config.h"
#include "models/pooling.h"
#include "nn/resnet_config.h"
#include "nn/variants.h"

namespace vitrail {

using kernels::Activation;
using kernels::NormKind;

enum class PatchEmbedding : uint8_t {
  convolution,  // weight [D, C, ph, pw]: patches flattened channel by channel
  linear,       // weight [D, ph*pw*C]: patches flattened pixel by pixel, channel fastest
  tokenizer,    // convolution, activation and max-pooling stages (CCT)
  resnet,  // the feature map of a residual network: a hybrid, or with depth 0, mean pooling and
           // no norms, class token and positions the network itself
};
// The convolutional tokenizer of CCT: `layers` times convolution, activation, max-pooling.
struct TokenizerConfig {
  int64_t layers = 1;
  int64_t kernel = 3, stride = 1, padding = 1;
  int64_t pool_kernel = 3, pool_stride = 2, pool_padding = 1;
  int64_t hidden_channels = 64;  // of all but the last layer
  bool bias = false;
  Activation activation = Activation::relu;
  bool operator==(const TokenizerConfig&) const = default;
};

// Positions that turn q and k (nn/position/rotary.h), beside those that are added to the tokens.
struct RotarySettings {
  Rotary kind = Rotary::none;
  double base = 10000;
  RotaryCoordinates coordinates = RotaryCoordinates::index;
  double offset = 0;  // added to a patch's number
  // Patches of another grid take the places of this one's; 0: they do not.
  int64_t reference_height = 0, reference_width = 0;
  bool interleaved = true;      // pairs (2i, 2i + 1) of a head; else (i, i + d/2)
  bool column_first = false;    // the first half turns with the column
  bool stored_periods = false;  // the file holds them, instead of the rule by base
  bool operator==(const RotarySettings&) const = default;
};

// What is added to the scores by relative position (nn/position/relative.h, relative_mlp.h).
struct RelativeSettings {
  RelativePosition per_block = RelativePosition::none, shared = RelativePosition::none;
  bool prefix_entries = true;  // a table has entries for the tokens before the patches
  RelativeResize resize = RelativeResize::geometric;
  int64_t hidden_dim = 128;  // of mlp and mlp_swin
  bool has_table() const {
    return per_block == RelativePosition::table || shared == RelativePosition::table;
  }
  bool present() const {
    return per_block != RelativePosition::none || shared != RelativePosition::none;
  }
  bool operator==(const RelativeSettings&) const = default;
};

struct VisionTransformerConfig {
  static constexpr std::string_view kType = "vit";

  std::string architecture;  // a name people know: "vit_base_patch16_224"; may be empty

  int64_t image_height = 224, image_width = 224, in_channels = 3;
  PatchEmbedding patch_embedding = PatchEmbedding::convolution;
  int64_t patch_height = 16, patch_width = 16;
  bool patch_bias = true;
  bool patch_norm = false;  // LayerNorm before and after a linear embedding (newer vit-pytorch)
  bool patch_output_norm = false;  // a norm of the tokens that it makes (timm's embed_norm_layer)
  // Pixels behind the last whole patch are left out, as a convolution leaves them; otherwise a
  // picture that has some is refused. transformers' models do, and timm's at a size that has some.
  bool drop_partial_patches = false;
  TokenizerConfig tokenizer;
  ResNetConfig resnet;  // embed_dim is the last of its channels
  // Patches of the feature map, patch_height x patch_width cells each, are projected to tokens of
  // any width.
  bool resnet_projection = false;

  int64_t embed_dim = 768, depth = 12, num_heads = 12;
  int64_t head_dim = 0;        // 0: embed_dim / num_heads
  int64_t mlp_hidden_dim = 0;  // 0: 4 * embed_dim. Of one half when the MLP is gated
  MlpKind mlp = MlpKind::plain;
  Activation activation = Activation::gelu;
  bool qkv_bias = true, projection_bias = true, mlp_bias = true;
  bool attention_projection = true;  // false: no attn.proj (vit-pytorch with one head of width D)
  bool qk_norm = false;              // a norm over d of q and k
  HeadMixingKind head_mixing = HeadMixingKind::none;  // heads' scores and weights are mixed
  bool attention_norm = false;  // a norm before attn.proj (timm's scale_attn_norm)
  bool mlp_norm = false;        // a norm before mlp.fc2 (timm's scale_mlp_norm)
  // What every norm is, but those of patch_norm and of residual networks.
  NormKind norm = NormKind::layer;
  NormPlacement norm_placement = NormPlacement::pre;
  int64_t parallel_branches = 1;        // attentions of one input, then MLPs (nn/block.h)
  bool differential_attention = false;  // nn/differential.h
  bool mlp_output_bias = true;          // false: mlp_bias is of fc1 alone
  double layer_norm_epsilon = 1e-6;     // of RMSNorm as well, and of residual networks' norms, too
  bool layer_scale = false;
  double layer_scale_init = 1e-5;

  bool class_token = true, distillation_token = false;
  int64_t register_tokens = 0;  // token order: class, distillation, registers, patches
  Position position = Position::learned;
  // Prefix tokens that pos_embed covers, from the first on; registers beyond it have no position.
  int64_t position_prefix = 1;
  // Grid that stored positions were made for, pos_embed and tables by relative position; 0: the
  // grid of image_height x image_width.
  int64_t position_grid_height = 0, position_grid_width = 0;
  PositionResize position_resize = PositionResize::bicubic_antialias;
  bool pre_norm = false;   // norm_pre after the position embedding (CLIP)
  bool final_norm = true;  // norm over all tokens after the blocks
  bool fc_norm = false;    // norm of the pooled vector instead
  // Width of a layer with tanh between the pooled vector and the head (representation_size in the
  // first ViTs, Dosovitskiy et al. 2021, section 3.1, and in timm until 0.6); 0: none.
  int64_t pre_logits_dim = 0;
  Pooling pooling = Pooling::class_token;
  int64_t pool_heads = 0;           // of map pooling; 0: num_heads
  int64_t pool_mlp_hidden_dim = 0;  // of map pooling; 0: mlp_hidden()
  int64_t num_classes = 1000;       // 0: no head, the pooled vector is the answer
  bool head_bias = true;
  Answer answer = Answer::softmax;
  // A picture may show several of the classes, or none; only of answer sigmoid. Without it the best
  // class is the answer, as of a classifier that binary cross-entropy has trained.
  bool multi_label = false;

  double position_dropout = 0, dropout = 0, attention_dropout = 0;
  double drop_path = 0;             // of the last block; earlier ones grow linearly from 0
  bool drop_path_constant = false;  // every block has it

  // ---- Positions in attention, and biases of q and v alone ----
  RotarySettings rotary;      // of the patches; the tokens before them are not turned
  RelativeSettings relative;  // of the blocks' attention
  bool key_bias = true;       // false: where there is a qkv_bias, k has none

  int64_t head_size() const { return head_dim > 0 ? head_dim : embed_dim / num_heads; }
  int64_t mlp_hidden() const { return mlp_hidden_dim > 0 ? mlp_hidden_dim : 4 * embed_dim; }
  int64_t prefix_tokens() const {
    return (class_token ? 1 : 0) + (distillation_token ? 1 : 0) + register_tokens;
  }
  int64_t pooling_dim() const {
    return pooling == Pooling::class_and_mean ? 2 * embed_dim : embed_dim;
  }
  PictureInput pictures() const {
    return {.channels = in_channels, .height = image_height, .width = image_width};
  }
  int64_t num_blocks() const { return depth; }
  // Whether positions are stored for each place of a grid, and resized to another.
  bool has_position_grid() const { return position == Position::learned || relative.has_table(); }
  ClassAnswer class_answer() const {
    return {.classes = num_classes, .meaning = answer, .multi_label = multi_label};
  }
  // What the head reads.
  int64_t pooled_dim() const { return pre_logits_dim > 0 ? pre_logits_dim : pooling_dim(); }
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

  // As of NetworkConfig.
  void set_pictures(const PictureInput& input);
  void set_class_answer(const ClassAnswer& to);
  void set_drop_path(double rate) { drop_path = rate; }
  void fit_positions() { position_grid_height = position_grid_width = 0; }

  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const VisionTransformerConfig&) const = default;
};

// Every field, by its name here; enums as their words. from_json: missing fields keep the default,
// unknown fields and wrong types are an Error; the result is validated.
void write_fields(const VisionTransformerConfig& config, nlohmann::json& out);
VisionTransformerConfig vit_config_from_json(const nlohmann::json& json);
// One field by name, from text ("num_heads=4"): what --set does. Error: unknown name, bad value.
void set_field(VisionTransformerConfig& config, const std::string& name, const std::string& value);
// models/vit.h. Error: the config's.
std::shared_ptr<Network> make_network(const VisionTransformerConfig& config);

// The fields of a configuration that is of the plain Vision Transformer. Error: it is of another
// type of network.
VisionTransformerConfig& as_vit(NetworkConfig& config);
const VisionTransformerConfig& as_vit(const NetworkConfig& config);

}  // namespace vitrail
