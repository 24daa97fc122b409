// The step of stochastic gradient descent with momentum (Sutskever et al., "On the importance of
// initialization and momentum in deep learning", 2013, in the form of torch.optim.SGD).
#pragma once

#include <cstdint>
#include <span>

#include "core/queue.h"

namespace vitrail::kernels {

struct SgdArgs {
  int64_t count = 0;
  float* parameter = nullptr;
  const float* gradient = nullptr;
  float* momentum_buffer = nullptr;  // b, zeros before the first step; unused without momentum
  double learning_rate = 1e-3;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;   // added to the gradient
  float gradient_scale = 1;  // multiplies the gradient first: clipping, averaging
};
// In place:  g += wd p;  b = momentum b + g;  p -= lr (nesterov ? g + momentum b : b)
// f32 arithmetic. All parameters of a model in one sweep; threads take fixed ranges.
void sgd(Queue& queue, std::span<const SgdArgs> parameters);

}  // namespace vitrail::kernels
