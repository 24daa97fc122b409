// The AdamW step (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).
#pragma once

#include <cstdint>
#include <span>

#include "core/queue.h"

namespace vitrail::kernels {

struct AdamWArgs {
  int64_t count = 0;
  float* parameter = nullptr;
  const float* gradient = nullptr;
  float* first_moment = nullptr;   // m, zeros before the first step
  float* second_moment = nullptr;  // v, zeros before the first step
  int64_t step = 1;                // counts from 1
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 1e-2;
  float gradient_scale = 1;  // multiplies the gradient first: clipping, averaging
};
// In place, in the order of torch.optim.AdamW (single tensor):
//   p *= 1 - lr wd;  m += (1 - b1) (g - m);  v = b2 v + (1 - b2) g^2
//   p -= lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
// f32 arithmetic, scalars derived in double. Threads take fixed ranges.
void adamw(Queue& queue, const AdamWArgs& args);
// All parameters of a model in one sweep: most are smaller than what waking a thread costs.
void adamw(Queue& queue, std::span<const AdamWArgs> parameters);

}  // namespace vitrail::kernels
