// From pictures to tokens: [B, C, H, W] to [B, grid, D] (Dosovitskiy et al. 2021, section 3.1), or
// through a convolutional tokenizer (Hassani et al. 2021, section 3.3).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nn/cost.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/token_layout.h"

namespace vitrail {

struct PatchEmbeddingConfig {
  int64_t channels = 3, embed_dim = 0;
  int64_t patch_height = 16, patch_width = 16;
  bool channels_last = false;  // patches flattened pixel by pixel, the channel fastest
  bool bias = true;
  bool norms = false;  // LayerNorm of the flattened patch and of the token
  double epsilon = 1e-5;
  bool output_norm = false;         // a norm of the token alone: timm's embed_norm_layer
  NormKind norm = NormKind::layer;  // of the latter
  // Pixels behind the last whole patch are left out, as a convolution leaves them; otherwise a
  // picture that has some is refused. transformers' models do, and timm's at a size that has some.
  bool drop_partial = false;
  bool operator==(const PatchEmbeddingConfig&) const = default;
};

// Non-overlapping patches: unfolding and one projection, whatever shape the weight is stored in.
class PatchEmbed {
 public:
  PatchEmbed(const Scope& scope, const PatchEmbeddingConfig& config);
  // Error: the picture is not a whole number of patches.
  Variable forward(const Context& context, const Variable& images) const;
  // For so many patches.
  LayerCost cost(int64_t patches) const;

 private:
  PatchEmbeddingConfig config_;
  std::string path_;
  std::optional<LayerNorm> norm_in_, norm_out_;
  Parameter& weight_;
  Parameter* bias_;
};

// The cells of a feature map [B, h, w, C] to tokens, `patch_height` x `patch_width` of them each:
// the hybrids of Dosovitskiy et al. 2021, section 3.1. `channels` are the map's.
class MapProjection {
 public:
  MapProjection(const Scope& scope, const PatchEmbeddingConfig& config);
  Variable forward(const Context& context, const Variable& map) const;
  // For so many patches.
  LayerCost cost(int64_t patches) const;

 private:
  PatchEmbeddingConfig config_;
  std::string path_;
  Parameter& weight_;
  Parameter* bias_;
};

// The convolutional tokenizer of CCT: `layers` times convolution, activation, max-pooling.
struct ConvTokenizerConfig {
  int64_t channels = 3, embed_dim = 0, layers = 1;
  int64_t kernel = 3, stride = 1, padding = 1;
  int64_t pool_kernel = 3, pool_stride = 2, pool_padding = 1;  // pool_kernel 0: no pooling
  int64_t hidden_channels = 64;                                // of all but the last layer
  bool bias = false;
  kernels::Activation activation = kernels::Activation::relu;
  bool operator==(const ConvTokenizerConfig&) const = default;
};

class ConvTokenizer {
 public:
  ConvTokenizer(const Scope& scope, const ConvTokenizerConfig& config);
  Variable forward(const Context& context, const Variable& images) const;
  LayerCost cost(int64_t picture_height, int64_t picture_width) const;

 private:
  struct Layer {
    Parameter& weight;
    Parameter* bias;
  };
  ConvTokenizerConfig config_;
  std::string path_;
  std::vector<Layer> layers_;
};

}  // namespace vitrail
