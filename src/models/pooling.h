// How the tokens of the last stage become the vector that the head reads.
#pragma once

#include <cstdint>

namespace vitrail {

enum class Pooling : uint8_t {
  class_token,
  mean,            // of patch tokens, prefix tokens left out
  mean_all,        // of every token, the class token included (vit-pytorch's 'mean')
  class_and_mean,  // class token and mean of patches, concatenated: 2 D (DINOv2's classifier)
  distilled,       // mean of head(class token) and head_dist(distillation token) (DeiT)
  sequence,        // softmax-weighted sum over tokens (CCT, CVT)
  map,             // multi-head attention pooling with a learned query (SigLIP, big_vision)
  map_all,         // the same over every token, the prefix tokens included
};
constexpr bool is_map(Pooling pooling) {
  return pooling == Pooling::map || pooling == Pooling::map_all;
}

}  // namespace vitrail
