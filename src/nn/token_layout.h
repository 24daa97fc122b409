// TokenLayout: what each token of a sequence is. It travels beside activations, so that nobody
// guesses the patch grid from N.
#pragma once

#include <cstdint>

namespace vitrail {

struct TokenLayout {
  int64_t class_tokens = 0, distillation_tokens = 0, register_tokens = 0;  // in this order
  int64_t grid_height = 0, grid_width = 0;    // patches, row by row, after the prefix
  int64_t patch_height = 0, patch_width = 0;  // in pixels of the model's input; a tokenizer's
                                              // cell is its total stride
  // Tokens are the cells of a feature map, which covers the whole picture; patches leave out what
  // is behind the last whole one.
  bool of_feature_map = false;
  int64_t prefix() const { return class_tokens + distillation_tokens + register_tokens; }
  int64_t patches() const { return grid_height * grid_width; }
  int64_t tokens() const { return prefix() + patches(); }
  bool operator==(const TokenLayout&) const = default;
};

}  // namespace vitrail
