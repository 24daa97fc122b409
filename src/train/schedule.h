// The learning rate over a run: linear warm-up, then half a cosine (Loshchilov and Hutter, "SGDR",
// 2017, without restarts).
#pragma once

#include <cstdint>

namespace vitrail {

struct Schedule {
  double learning_rate = 1e-3;      // the peak
  double min_learning_rate = 1e-5;  // at the end
  int64_t warmup_steps = 0;
  int64_t total_steps = 1;

  // step counts from 0. In warm-up peak * (step + 1) / warmup_steps; then
  // min + (peak - min) / 2 * (1 + cos(pi * (step - warmup) / (total - warmup))).
  double at(int64_t step) const;
};

}  // namespace vitrail
