// TinyViT (Wu et al. 2022): a convolutional stem and stage, then stages of window attention with
// biases by distance, each block with a depth-wise convolution between attention and MLP.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/backbone.h"
#include "models/backbones/tiny_vit_config.h"
#include "nn/inverted_residual.h"

namespace vitrail {

class TinyVitBlock;

class TinyVitBackbone : public Backbone {
 public:
  // config is one that validate() accepts.
  TinyVitBackbone(const Scope& root, const TinyVitConfig& config);
  ~TinyVitBackbone() override;

  // A feature a stage. The observer is told "patch_embed", "stages.i.blocks.j" and "stages.i".
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;
  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override { return config_.embed_dims.back(); }
  // The convolutional ones, too.
  std::vector<BlockPlace> blocks() const override;
  std::vector<AttentionLayer> attentions() const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  struct Stage {
    std::string path;
    std::unique_ptr<InvertedResidual> downsample;
    std::vector<std::unique_ptr<InvertedResidual>> convolutions;  // of the first stage
    std::vector<std::unique_ptr<TinyVitBlock>> blocks;            // of the others
  };
  Variable run_stage(const Context& context, const Stage& stage, const TokenLayout& layout,
                     Variable grid) const;

  TinyVitConfig config_;
  NormedConvolution conv1_, conv2_;  // the stem
  std::vector<Stage> stages_;
};

}  // namespace vitrail
