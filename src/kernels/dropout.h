// Dropout (Srivastava et al., 2014) and stochastic depth (Huang et al., 2016). No mask is stored:
// forward and backward draw the same numbers from the counter-based generator.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/queue.h"
#include "core/rng.h"

namespace vitrail::kernels {

// Where a mask comes from: one per (seed, step, place in the model).
struct MaskKey {
  uint64_t key = 0;
  uint64_t stream = 0;
  MaskKey() = default;
  MaskKey(RandomKey random, std::string_view path);
};

struct DropoutArgs {
  int64_t count = 0;
  float probability = 0;  // of dropping, in [0, 1)
  MaskKey mask;
  uint64_t first_index = 0;  // of x[0] in the whole array, when x is a part of it; multiple of 4
  const float* x = nullptr;
  float* y = nullptr;  // may be x
};
// y[i] = x[i] / (1 - p) where word i % 4 of philox(key, i / 4, stream) is at least p 2^32, else 0.
// The backward is the same call on dy. Threads take fixed ranges.
void dropout(Queue& queue, const DropoutArgs& args);

struct DropPathArgs {
  int64_t samples = 0;
  int64_t elements = 0;   // per sample
  float probability = 0;  // of dropping a sample, in [0, 1)
  MaskKey mask;
  uint64_t first_sample = 0;  // index of the first sample in the whole batch
  const float* x = nullptr;   // [samples, elements]
  float* y = nullptr;         // may be x
};
// Keeps or drops whole samples: y[s] = x[s] / (1 - p) or 0, drawn as dropout draws element s.
// The backward is the same call on dy.
void drop_path(Queue& queue, const DropPathArgs& args);

// Whether element `index` is kept: for kernels that fuse a dropout, and for the oracles.
bool kept(const MaskKey& mask, float probability, uint64_t index);

}  // namespace vitrail::kernels
