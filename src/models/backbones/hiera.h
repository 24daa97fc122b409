// Hiera (Ryali et al. 2023): stages of plain blocks, whose attention is within mask units at first
// and global later; between stages queries are pooled. Tokens stay in the order of the grid: units
// are read and written where they lie, and nothing is unrolled.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/backbone.h"
#include "models/backbones/hiera_config.h"
#include "nn/block.h"
#include "nn/pooling_block.h"
#include "nn/position/grid_cache.h"
#include "nn/position/position.h"

namespace vitrail {

class HieraBackbone : public Backbone {
 public:
  // config is one that validate() accepts; hiera_config.h names the parameters.
  HieraBackbone(const Scope& root, const HieraConfig& config);

  // A feature a stage: what its last block leaves. The observer is told "patch_embed", "tokens"
  // (positions added) and "blocks.i".
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;
  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override { return config_.embed_dims.back(); }
  std::vector<BlockPlace> blocks() const override;
  std::vector<AttentionLayer> attentions() const override;
  AttentionGrids attention_grids(const AttentionLayer& layer, int64_t picture_height,
                                 int64_t picture_width) const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  // Blocks of one width; the first of a stage behind the first is another.
  struct Stage {
    std::unique_ptr<PoolingBlock> first;
    std::vector<std::unique_ptr<Block>> blocks;
  };
  // The mask units of a stage's grid; none where it attends among all tokens.
  struct StageUnits {
    std::optional<AttentionWindows> own;            // of its blocks of one width
    std::optional<AttentionWindows> keys, queries;  // of its first block
  };
  using Units = std::vector<StageUnits>;
  std::shared_ptr<const Units> units(const std::vector<TokenLayout>& grids) const;
  PooledGrid pooled_grid(const TokenLayout& before, const StageUnits& units) const;
  Variable embed(const Context& context, const Variable& images, const TokenLayout& layout) const;

  HieraConfig config_;
  Parameter* patch_weight_;
  Parameter* patch_bias_;
  std::unique_ptr<PositionStrategy> positions_;
  std::vector<Stage> stages_;
  GridCache<Units> units_;
};

}  // namespace vitrail
