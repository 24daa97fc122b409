// The plain Vision Transformer: patches or the cells of a feature map, prefix tokens, positions and
// blocks of one width (Dosovitskiy et al. 2021; Touvron et al. 2021; Oquab et al. 2023; Hassani et
// al. 2021). ViT, DeiT, DINOv2 and compact transformers are configurations of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/backbone.h"
#include "models/vit_config.h"
#include "nn/block.h"
#include "nn/patch_embedding.h"
#include "nn/position_embedding.h"
#include "nn/resnet.h"

namespace vitrail {

class VitBackbone : public Backbone {
 public:
  // config is one that validate() accepts; models/vit_config.h names the parameters.
  VitBackbone(const Scope& root, const VitConfig& config);

  // images need not be of the config's size: position tables follow. The observer is told
  // "patch_embed", "tokens" (positions added), "blocks.i" and "norm". Attention layers are
  // "blocks.i.attn" to a probe.
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;

  // The two halves of forward(), for who changes the tokens in between (masked autoencoding):
  // [B, N, D] with positions added; and the blocks with the final norm. Attention's own positions
  // need all tokens of the layout.
  Variable embed(const Context& context, const Variable& images, const TokenLayout& layout) const;
  Variable encode(const Context& context, Variable tokens, const TokenLayout& layout) const;

  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override { return config_.embed_dim; }
  std::vector<BlockPlace> blocks() const override;
  std::vector<AttentionLayer> attentions() const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  void add_positions(const Scope& stem);
  Variable run_block(const Context& context, size_t index, Variable x,
                     const TokenLayout& layout) const;

  VitConfig config_;
  std::optional<PatchEmbed> patch_embed_;
  std::optional<ConvTokenizer> tokenizer_;
  std::optional<ResNet> resnet_;
  std::optional<MapProjection> map_projection_;
  Parameter* cls_token_ = nullptr;
  Parameter* dist_token_ = nullptr;
  Parameter* reg_token_ = nullptr;
  std::optional<PositionEmbedding> position_;
  // Of attention: for all blocks, and of each block its own.
  std::vector<std::unique_ptr<PositionStrategy>> shared_positions_, block_positions_;
  std::optional<LayerNorm> norm_pre_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::optional<LayerNorm> norm_;
};

}  // namespace vitrail
