// Architectures by name: the compact ones of small data here, the published ones of the families in
// families/published.h.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "models/vit_config.h"

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

// The configuration of a compact or a published architecture, under its name. Error: an unknown
// name; the message lists the compact ones.
VisionTransformerConfig architecture_config(const std::string& name);

}  // namespace vitrail
