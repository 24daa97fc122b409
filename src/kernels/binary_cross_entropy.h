// Binary cross-entropy with logits: every class is a question of its own (Wightman et al., "ResNet
// strikes back", 2021; timm's BinaryCrossEntropy).
#pragma once

#include <cstdint>

#include "core/queue.h"
#include "kernels/softmax.h"

namespace vitrail::kernels {

// The targets t of a row are CrossEntropyTargets' with their smoothing; with a threshold they then
// become 1 above it and 0 elsewhere.
struct BinaryTargets {
  CrossEntropyTargets targets;
  bool binarize = false;
  float threshold = 0;
};

struct BinaryCrossEntropyArgs {
  int64_t rows = 0;
  int64_t classes = 0;
  const float* logits = nullptr;  // [rows, classes], contiguous
  BinaryTargets targets;
  float* loss = nullptr;  // [rows]: sum_c max(x, 0) - x t + log(1 + exp(-|x|)), in double
};
// As torch.nn.functional.binary_cross_entropy_with_logits, summed over the classes. Threads take
// rows.
void binary_cross_entropy(Queue& queue, const BinaryCrossEntropyArgs& args);

struct BinaryCrossEntropyBackwardArgs {
  int64_t rows = 0;
  int64_t classes = 0;
  const float* logits = nullptr;
  BinaryTargets targets;
  const float* dloss = nullptr;  // [rows]
  float scale = 1;               // multiplies every row
  float* dlogits = nullptr;      // =, may be logits
};
// dlogits = scale dloss (sigmoid(x) - t).
void binary_cross_entropy_backward(Queue& queue, const BinaryCrossEntropyBackwardArgs& args);

}  // namespace vitrail::kernels
