// Moving averages: one array moves towards another.
#pragma once

#include <cstdint>
#include <span>

#include "core/queue.h"

namespace vitrail::kernels {

struct LerpArgs {
  int64_t count = 0;
  float* x = nullptr;
  const float* y = nullptr;
  double weight = 0;     // of y, in [0, 1]
  float y_scale = 1;     // multiplies y first
  float* out = nullptr;  // null: x
};
// out = x + weight (y - x), as torch.lerp: from a weight of a half on it is
// y - (1 - weight) (y - x), so that a weight of 1 gives y itself. f32 arithmetic. Several arrays in
// one sweep; threads take fixed ranges.
void lerp(Queue& queue, std::span<const LerpArgs> arrays);

}  // namespace vitrail::kernels
