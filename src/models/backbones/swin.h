// The Swin Transformer (Liu et al. 2021; version 2: Liu et al. 2022): stages of blocks that attend
// in windows of the grid, every second block in windows shifted by half of one; between stages 2x2
// tokens become one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/backbone.h"
#include "models/backbones/swin_config.h"
#include "nn/block.h"
#include "nn/patch_embedding.h"
#include "nn/patch_merging.h"
#include "nn/position/grid_cache.h"
#include "nn/position/position.h"

namespace vitrail {

// Parameters, in timm's names: patch_embed.{proj, norm}, layers.i.downsample.{reduction, norm},
// layers.i.blocks.j.{norm1, attn, norm2, mlp}, norm.
class SwinBackbone : public Backbone {
 public:
  // config is one that validate() accepts.
  SwinBackbone(const Scope& root, const SwinConfig& config);
  ~SwinBackbone() override;

  // The observer is told "patch_embed", "layers.i.blocks.j", "layers.i" (in front of the final
  // norm) and "norm". Attention layers are "layers.i.blocks.j.attn" to a probe.
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;

  // Error: no whole patch, windows that do not fit, and with WindowRule::timm a picture of another
  // size than the configuration's.
  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override { return config_.width(config_.stages() - 1); }
  std::vector<BlockPlace> blocks() const override;
  std::vector<AttentionLayer> attentions() const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  struct SwinBlock {
    std::unique_ptr<Block> block;
    std::unique_ptr<PositionStrategy> position;
  };
  // The windows of a stage's grid, of its even blocks and of its odd ones.
  struct WindowPair {
    TokenLayout window;
    AttentionWindows plain, shifted;
  };
  struct Stage {
    std::string path;
    std::optional<PatchMerging> downsample;
    std::vector<SwinBlock> blocks;
    GridCache<WindowPair> windows;
  };

  Variable padded(const Context& context, const Variable& images) const;
  std::shared_ptr<const WindowPair> windows(size_t stage, const TokenLayout& layout,
                                            const GridSize& picture) const;
  Variable run_block(const Context& context, size_t stage, size_t block, Variable tokens,
                     const std::shared_ptr<const WindowPair>& windows) const;

  SwinConfig config_;
  PatchEmbed patch_embed_;
  LayerNorm patch_norm_;
  std::vector<std::unique_ptr<Stage>> stages_;
  LayerNorm norm_;
};

}  // namespace vitrail
