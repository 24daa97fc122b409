// Softmax over the last axis, alone and fused with cross-entropy.
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

struct SoftmaxArgs {
  int64_t rows = 0;
  int64_t classes = 0;
  const float* x = nullptr;  // [rows, classes], contiguous
  float* y = nullptr;        // [rows, classes], may be x
};
// y = exp(x - max) / sum exp(x - max) per row. Threads take rows.
void softmax(Queue& queue, const SoftmaxArgs& args);

struct SoftmaxBackwardArgs {
  int64_t rows = 0;
  int64_t classes = 0;
  const float* y = nullptr;  // the forward's output
  const float* dy = nullptr;
  float* dx = nullptr;  // =, may be dy
};
// dx = y (dy - sum dy y).
void softmax_backward(Queue& queue, const SoftmaxBackwardArgs& args);

// The targets t of a row, with label smoothing e over C classes (Szegedy et al., 2016):
//   class indices: t = (1 - e) onehot(label) + e / C
//   soft targets:  t = (1 - e) soft + e / C
struct CrossEntropyTargets {
  const int64_t* labels = nullptr;  // [rows], each in [0, classes); or
  const float* soft = nullptr;      // [rows, classes], rows that sum to any total
  float label_smoothing = 0;
};

struct CrossEntropyArgs {
  int64_t rows = 0;
  int64_t classes = 0;
  const float* logits = nullptr;  // [rows, classes], contiguous
  CrossEntropyTargets targets;
  float* loss = nullptr;           // [rows]: -sum_c t_c log softmax(logits)_c
  float* probabilities = nullptr;  // [rows, classes], optional, may be logits
};
// As torch.nn.functional.cross_entropy with reduction "none". Threads take rows.
void softmax_cross_entropy(Queue& queue, const CrossEntropyArgs& args);

struct CrossEntropyBackwardArgs {
  int64_t rows = 0;
  int64_t classes = 0;
  const float* probabilities = nullptr;  // the forward's
  CrossEntropyTargets targets;
  const float* dloss = nullptr;  // [rows]; null: ones
  float scale = 1;               // multiplies every row: 1 / rows for a mean
  float* dlogits = nullptr;      // =, may be probabilities
};
// dlogits = scale dloss (p sum(t) - t).
void softmax_cross_entropy_backward(Queue& queue, const CrossEntropyBackwardArgs& args);

}  // namespace vitrail::kernels
