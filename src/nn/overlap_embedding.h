// Tokens of overlapping patches: a convolution whose kernel is larger than its stride, and
// LayerNorm (Wang et al., "PVT v2", 2022, section 3.2). Between the stages of a hierarchical model
// the same halves the grid.
#pragma once

#include <string>

#include "nn/cost.h"
#include "nn/norm.h"
#include "ops/convolution.h"

namespace vitrail {

struct OverlapEmbeddingConfig {
  int64_t channels = 3, embed_dim = 0;
  int64_t kernel = 7, stride = 4;
  int64_t padding = -1;   // on every side; -1: half of an odd kernel
  double epsilon = 1e-5;  // of the norm
};

class OverlapEmbedding {
 public:
  // Parameters: proj.weight [D, C, k, k], proj.bias, norm.{weight, bias}.
  OverlapEmbedding(const Scope& scope, const OverlapEmbeddingConfig& config);
  // [B, H, W, C] to [B, cells(H), cells(W), D].
  Variable forward(const Context& context, const Variable& x) const;
  // Along an axis of so many pixels.
  int64_t cells(int64_t pixels) const {
    return (pixels + 2 * padding() - config_.kernel) / config_.stride + 1;
  }
  // Of an input of so many pixels or cells.
  LayerCost cost(int64_t height, int64_t width) const;

 private:
  int64_t padding() const { return config_.padding < 0 ? config_.kernel / 2 : config_.padding; }

  OverlapEmbeddingConfig config_;
  std::string path_;
  Parameter& weight_;
  Parameter& bias_;
  LayerNorm norm_;
};

}  // namespace vitrail
