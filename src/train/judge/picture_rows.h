// Rows of numbers, one for each picture: several processes compute them, and each gets all.
#pragma once

#include <cstdint>
#include <vector>

#include "train/run/gradient_exchange.h"

namespace vitrail {

struct PictureRows {
  int64_t width = 0;
  std::vector<float> values;     // [size(), width]
  std::vector<int64_t> indices;  // of the pictures in their set
  int64_t size() const { return static_cast<int64_t>(indices.size()); }
};

// Every process's rows, for each process, sorted by picture.
PictureRows gather(const PictureRows& mine, GradientExchange& exchange);

}  // namespace vitrail
