// CaiT, class attention in image transformers (Touvron et al. 2021): blocks of talking heads among
// the patches alone, then a few in which the class token asks and the patches only answer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/backbone.h"
#include "models/picture_network_config.h"
#include "models/pooling.h"
#include "nn/block.h"
#include "nn/patch_embedding.h"
#include "nn/position_embedding.h"

namespace vitrail {

// Canonical parameter names: cls_token, pos_embed, patch_embed.{proj, norm_in, norm_out},
// blocks.i.{norm1, attn.{qkv, proj_l, proj_w, proj}, ls1.gamma, norm2, mlp.{fc1, fc2}, ls2.gamma},
// blocks_token_only.i.{norm1, attn.{q, kv, proj}, ls1.gamma, norm2, mlp.*, ls2.gamma}, norm, head.
// drop_path is that of every block among the patches, and of no class block.
struct CaitConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "cait";

  PatchEmbedding patch_embedding = PatchEmbedding::convolution;  // or linear
  int64_t patch_size = 16;
  bool patch_norm = false;  // LayerNorm of the flattened patch and of the token
  // Of the stored positions, where that is not the picture's own.
  int64_t position_grid_height = 0, position_grid_width = 0;
  int64_t embed_dim = 192, depth = 24, class_depth = 2;
  int64_t num_heads = 4, head_dim = 0;  // 0: embed_dim / num_heads
  int64_t mlp_hidden_dim = 768, class_mlp_hidden_dim = 768;
  kernels::Activation activation = kernels::Activation::gelu;
  bool qkv_bias = true;
  HeadMixingKind head_mixing = HeadMixingKind::projections;
  bool class_head_mixing = false;   // heads are mixed in class attention, too
  bool class_norms_patches = true;  // class attention normalises what the patches answer with
  double layer_norm_epsilon = 1e-6;
  double layer_scale_init = 1e-5;
  Pooling pooling = Pooling::class_token;  // or mean: of the patches
  double position_dropout = 0, dropout = 0, attention_dropout = 0;

  int64_t head_size() const { return head_dim > 0 ? head_dim : embed_dim / num_heads; }
  int64_t num_blocks() const { return depth + class_depth; }
  // Positions are stretched as timm stretches those of its Vision Transformer; CaiT's own libraries
  // take one size alone.
  void set_image_size(int64_t height, int64_t width);
  void fit_positions() { position_grid_height = position_grid_width = 0; }

  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const CaitConfig&) const = default;
};

// As of PictureNetworkConfig.
void write_fields(const CaitConfig& config, nlohmann::json& out);
CaitConfig cait_config_from_json(const nlohmann::json& json);
void set_field(CaitConfig& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const CaitConfig& config);

// A block in which the class token alone changes.
class ClassBlock {
 public:
  ClassBlock(const Scope& scope, const CaitConfig& config);
  // token [B, 1, D] and patches [B, N, D] to the token.
  Variable forward(const Context& context, const Variable& token, const Variable& patches) const;
  const std::string& path() const { return path_; }
  const CrossAttention& attention() const { return attn_; }
  void visit_linears(const VisitLinear& visit) {
    attn_.visit_linears(visit);
    mlp_.visit_linears(visit);
  }
  void count(CostCounter& counter, int64_t patches) const {
    counter.add(attn_.cost(1, 1 + patches));
    counter.add(mlp_.cost(1));
  }

 private:
  std::string path_;
  bool norms_patches_;
  LayerNorm norm1_;
  CrossAttention attn_;
  Parameter& scale1_;
  LayerNorm norm2_;
  Mlp mlp_;
  Parameter& scale2_;
};

class CaitBackbone : public Backbone {
 public:
  // config is one that validate() accepts.
  CaitBackbone(const Scope& root, const CaitConfig& config);

  // One feature: the class token, then the patches, normalised. The observer is told "patch_embed",
  // "tokens" (positions added), "blocks.i" [B, N, D], "blocks_token_only.i" [B, 1, D] and "norm".
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;
  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override { return config_.embed_dim; }
  std::vector<BlockPlace> blocks() const override;
  std::vector<AttentionLayer> attentions() const override;
  AttentionGrids attention_grids(const AttentionLayer& layer, int64_t picture_height,
                                 int64_t picture_width) const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  CaitConfig config_;
  PatchEmbed patch_embed_;
  Parameter& cls_token_;
  PositionEmbedding position_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::unique_ptr<ClassBlock>> class_blocks_;
  LayerNorm norm_;
};

}  // namespace vitrail
