// The feature map of a residual network (He et al. 2016) as tokens: [B, C, H, W] to [B, h*w, D].
// Tokens for a hybrid Vision Transformer (Dosovitskiy et al. 2021, section 3.1); with no blocks and
// the mean as pooling the network itself.
//
// Behind every convolution stands batch normalisation, as in the paper, or GroupNorm (Wu and He
// 2018). The first learns small pictures much faster (docs/TRAINING.md); in training an answer then
// depends on the pictures beside it, and a step on how its batch is divided
// (autograd/running_statistics.h). Their weights begin at 1, the last ones of blocks too: from 0 a
// shallow network loses hundreds of steps until they have grown. Shortcuts that change shape are
// projections (option B of the paper).
#pragma once

#include <string>
#include <vector>

#include "nn/cost.h"
#include "nn/registry.h"
#include "nn/resnet_config.h"
#include "ops/convolution.h"
#include "ops/norm_epilogue.h"

namespace vitrail {

class ResNet {
 public:
  // Parameters are torchvision's: conv1, bn1, layer1.0.{conv1, bn1, ..., downsample.0,
  // downsample.1}; of pooled stages layer1.transition.{conv1, bn1} besides; with GroupNorm norm1
  // for bn1. A deep stem is conv1.{0, 1, 3, 4, 6}, and behind a mean downsample.{1, 2}, as timm has
  // them. With standardised filters timm's ResNetV2's: stem.{conv, norm},
  // stages.0.blocks.0.{conv1, norm1, ..., downsample.{conv, norm}}; of a stem alone conv and norm.
  // config is one that VitConfig::validate() accepts.
  ResNet(const Scope& scope, const ResNetConfig& config, int64_t in_channels, double epsilon);
  // The observer is told "layer1", ... [B, h, w, C] below the scope's path.
  Variable forward(const Context& context, const Variable& images) const;
  // The map itself: [B, h, w, D].
  Variable map(const Context& context, const Variable& images) const;
  // The stem, its norm, and each stage.
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const;

 private:
  // A convolution without bias and the norm behind it.
  struct NormedConvolution {
    Parameter& weight;
    WindowOptions window;
    Parameter& gamma;
    Parameter& beta;
    Parameter* running_mean = nullptr;  // with batch normalisation
    Parameter* running_variance = nullptr;
    const BatchNormFold* fold = nullptr;
  };
  struct LayerShape {
    Shape filter;
    int64_t stride = 1;
    ParameterRole::Muon muon = ParameterRole::Muon::normalised_filter;
    bool folds = true;  // batch normalisation follows at once, and may be folded
  };
  struct Block {
    bool transition = false;  // one convolution, and pooling before its norm
    std::vector<NormedConvolution> convolutions;
    std::vector<NormedConvolution> projection;  // one, or none: the shortcut is the input
    bool halves_by_mean = false;                // before the projection
  };
  struct Stage {
    std::string path;
    std::vector<Block> blocks;
  };
  const char* norm_name() const { return config_.norm == Normalisation::batch ? "bn" : "norm"; }
  void add_stem(const Scope& scope);
  void count_stem(CostCounter& counter, int64_t height, int64_t width) const;
  NormedConvolution make_projection(const Scope& block, int64_t inputs, int64_t outputs,
                                    int64_t stride) const;
  Variable convolve(const Context& context, const NormedConvolution& layer,
                    const Variable& x) const;
  Variable pool(const Context& context, const Variable& x) const;
  NormedConvolution make(const Scope& convolution, const Scope& norm,
                         const LayerShape& shape) const;
  Block make_block(const Scope& scope, int64_t inputs, int64_t outputs, int64_t stride) const;
  Block make_transition(const Scope& scope, int64_t inputs, int64_t outputs) const;
  Variable normalised(const Context& context, const NormedConvolution& layer, const Variable& y,
                      const NormEpilogue& epilogue) const;
  Variable run(const Context& context, const NormedConvolution& layer, const Variable& x,
               const NormEpilogue& epilogue) const;
  Variable run(const Context& context, const Block& block, const Variable& x) const;

  ResNetConfig config_;
  int64_t in_channels_;
  double epsilon_;
  std::string path_;
  std::vector<NormedConvolution> stem_;  // one, or three
  std::vector<Stage> stages_;
};

}  // namespace vitrail
