// Patches by a tower of strided 3x3 convolutions, each halving the picture, with batch
// normalisation and between them an activation (Graham et al. 2021, LeViT; El-Nouby et al. 2021,
// XCiT).
#pragma once

#include <string>
#include <vector>

#include "nn/cost.h"
#include "nn/normed_convolution.h"

namespace vitrail {

struct ConvolutionalPatchesConfig {
  int64_t channels = 3, embed_dim = 0;
  int64_t halvings = 4;  // the last layer is embed_dim wide, each one before half as wide
  kernels::Activation activation = kernels::Activation::gelu;
};

class ConvolutionalPatches {
 public:
  // Parameters: of layer i "proj.2i.0.weight" and the norm "proj.2i.1.*".
  ConvolutionalPatches(const Scope& scope, const ConvolutionalPatchesConfig& config);
  // [B, C, H, W] to [B, cells(H), cells(W), D].
  Variable forward(const Context& context, const Variable& images) const;
  // Along an axis of so many pixels: each layer rounds up.
  int64_t cells(int64_t pixels) const;
  LayerCost cost(int64_t picture_height, int64_t picture_width) const;

 private:
  ConvolutionalPatchesConfig config_;
  std::string path_;
  std::vector<NormedConvolution> layers_;
};

}  // namespace vitrail
