// MobileViT, versions 1 and 2 (Mehta and Rastegari 2022): inverted residuals, and in the last
// stages transformers over pixels of the same place within their patches.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/backbone.h"
#include "models/backbones/mobilevit_config.h"
#include "nn/inverted_residual.h"
#include "nn/mobilevit_block.h"

namespace vitrail {

class MobileVitBackbone : public Backbone {
 public:
  // config is one that validate() accepts.
  MobileVitBackbone(const Scope& root, const MobileVitConfig& config);

  // A feature a stage, the last one behind the last convolution. The observer is told "stem",
  // "stages.i.j", "stages.i" and "final_conv".
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;
  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override { return config_.final_width(); }
  // Inverted residuals, and transformers with the convolutions around them.
  std::vector<BlockPlace> blocks() const override;
  // Of version 1: a query's keys are the pixels at its own place of all patches.
  std::vector<AttentionLayer> attentions() const override;
  AttentionGrids attention_grids(const AttentionLayer& layer, int64_t picture_height,
                                 int64_t picture_width) const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  struct Stage {
    std::string path;
    std::vector<std::unique_ptr<InvertedResidual>> convolutions;
    std::unique_ptr<MobileVitBlock> transformer;  // null in the first stages
  };
  Variable run_stage(const Context& context, const Stage& stage, Variable map) const;

  MobileVitConfig config_;
  NormedConvolution stem_;
  std::vector<Stage> stages_;
  std::optional<NormedConvolution> final_conv_;
};

}  // namespace vitrail
