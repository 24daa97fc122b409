// A Vision Transformer whose attention is in windows, but for some blocks: ViTDet, and the image
// encoder of SAM with its neck (vitdet_config.h names the papers).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "models/backbone.h"
#include "models/backbones/vitdet_config.h"
#include "nn/patch_embedding.h"
#include "nn/position/added.h"
#include "nn/position/grid_cache.h"
#include "nn/window_block.h"

namespace vitrail {

// Behind the blocks: [B, H, W, D] to [B, H, W, output_dim]. Parameters: weight and bias of a norm;
// or conv1 [C, D, 1, 1], norm1, conv2 [C, C, 3, 3], norm2, the filters without biases.
class VitDetNeck {
 public:
  // Error: the configuration has none.
  VitDetNeck(const Scope& scope, const VitDetConfig& config);
  Variable forward(const Context& context, const Variable& x) const;
  LayerCost cost(int64_t cells) const;

 private:
  std::string path_;
  int64_t inputs_, outputs_;
  Parameter* first_ = nullptr;
  std::optional<LayerNorm> first_norm_;
  Parameter* second_ = nullptr;
  std::optional<LayerNorm> norm_;
};

class VitDetBackbone : public Backbone {
 public:
  // config is one that validate() accepts; vitdet_config.h names the parameters.
  VitDetBackbone(const Scope& root, const VitDetConfig& config);

  // One feature: tokens behind the neck. The observer is told "patch_embed", "tokens" (positions
  // added), "blocks.i" and "neck".
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;
  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override { return config_.output_dim(); }
  std::vector<BlockPlace> blocks() const override;
  std::vector<AttentionLayer> attentions() const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  std::shared_ptr<const AttentionWindows> windows(const TokenLayout& grid) const;
  Variable embed(const Context& context, const Variable& images, const TokenLayout& layout) const;

  VitDetConfig config_;
  PatchEmbed patch_embed_;
  std::optional<LearnedPositions> positions_;
  std::vector<std::unique_ptr<WindowBlock>> blocks_;
  std::optional<VitDetNeck> neck_;
  GridCache<AttentionWindows> windows_;
};

}  // namespace vitrail
