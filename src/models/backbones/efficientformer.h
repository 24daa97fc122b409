// EfficientFormer (Li et al. 2022): blocks that mix tokens by averaging a map's neighbours, and in
// the last stage blocks of attention with biases by distance.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/backbone.h"
#include "models/backbones/efficientformer_config.h"
#include "nn/norm.h"
#include "nn/normed_convolution.h"

namespace vitrail {

class PoolMixerBlock;
class EfficientAttentionBlock;

class EfficientFormerBackbone : public Backbone {
 public:
  // config is one that validate() accepts.
  EfficientFormerBackbone(const Scope& root, const EfficientFormerConfig& config);
  ~EfficientFormerBackbone() override;

  // A feature a stage, the last one behind the norm. The observer is told "stem",
  // "stages.i.blocks.j", "stages.i" and "norm".
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;
  // Error, too: a picture whose last stage has another grid than the biases.
  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override { return config_.embed_dims.back(); }
  std::vector<BlockPlace> blocks() const override;
  std::vector<AttentionLayer> attentions() const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  struct Stage {
    std::string path;
    std::unique_ptr<NormedConvolution> downsample;
    std::vector<std::unique_ptr<PoolMixerBlock>> pooling;
    std::vector<std::unique_ptr<EfficientAttentionBlock>> blocks;
  };
  // The tokens of a map's stage.
  Variable run_stage(const Context& context, const Stage& stage, const TokenLayout& layout,
                     Variable map) const;

  EfficientFormerConfig config_;
  NormedConvolution stem1_, stem2_;
  std::vector<Stage> stages_;
  std::optional<LayerNorm> norm_;
};

}  // namespace vitrail
