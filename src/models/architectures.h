// Architectures by name: the compact ones of small data and residual networks here, the published
// ones of the families in families/published.h.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/families/family.h"

namespace vitrail {

// A row of the table of compact architectures.
struct CompactArchitecture {
  enum class Kind : uint8_t {
    cct,       // convolutional tokenizer, sequence pooling (Hassani et al. 2021)
    cvt,       // patches, sequence pooling
    vit_lite,  // patches, class token
    vitc,      // strided convolutional stem, class token, usual pre-norm blocks (after Xiao et al.,
               // "Early convolutions help transformers see better", 2021)
    vitc_pooled,  // the same with CCT's stem: convolutions and max-pooling
    teaching,     // the minimal ViT: no norms, no positions, ReLU, mean pooling
  };
  std::string_view name;
  Kind kind;
  int64_t embed_dim, depth, num_heads;
  double mlp_ratio;
  int64_t stem_layers;  // convolutions of the tokenizer; 0: patches
  int64_t kernel;       // of the tokenizer's convolutions, or the patch size
  int64_t image;        // side of the pictures it was published for
};

std::span<const CompactArchitecture> compact_architectures();

// A row of the table of residual networks, and of hybrids with blocks on their feature map.
struct ResidualArchitecture {
  std::string_view name;
  enum class Stem : uint8_t {
    small,   // 3x3, for small pictures (He et al. 2016, section 4.2)
    pooled,  // that and max-pooling: less to compute at the picture's own size
    large,   // 7x7 of stride 2 and max-pooling, for photographs (section 3.3)
  } stem;
  int64_t channels;               // of the first stage
  std::array<int64_t, 4> blocks;  // of each stage; 0: there is none
  bool bottleneck;
  int64_t image;
  int64_t depth = 0, num_heads = 1;  // transformer blocks on the feature map
  int64_t widening = 2;              // channels of a stage over those of the one before it
};

std::span<const ResidualArchitecture> residual_architectures();

bool is_architecture(const std::string& name);
// All of them: compact, residual, published.
std::vector<std::string> architecture_names();

// A compact, a residual or a published architecture, under its name, with timm's preprocessing of
// the published ones. Error: an unknown name; the message lists all but the published ones.
PublishedModel architecture(const std::string& name);
inline NetworkConfig architecture_config(const std::string& name) {
  return architecture(name).config;
}

}  // namespace vitrail
