// ModelCost: what a network takes, counted from its configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/vit.h"

namespace vitrail {

struct LayerCost {
  std::string path;           // "patch_embed", "blocks.0.attn", "head"
  Shape output;               // for one picture
  int64_t parameters = 0;     // below this path
  int64_t multiply_adds = 0;  // of matrix products and convolutions, for one picture
};

struct ModelCost {
  std::vector<LayerCost> layers;  // in the order in which they run
  int64_t parameters = 0;
  int64_t multiply_adds = 0;
  int64_t tokens = 0;
};

// For one picture of this size. Error: a size that the model does not take.
ModelCost model_cost(const VisionTransformer& network, int64_t height, int64_t width);

}  // namespace vitrail
