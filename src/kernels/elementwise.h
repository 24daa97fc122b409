// Arithmetic over contiguous f32 arrays. Every `out` may be one of the inputs. Threads take fixed
// ranges.
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

void fill(Queue& queue, int64_t count, float value, float* out);
// out = factor x
void scale(Queue& queue, int64_t count, float factor, const float* x, float* out);

struct BinaryArgs {
  int64_t count = 0;
  const float* a = nullptr;
  const float* b = nullptr;
  float* out = nullptr;
};
// out = a + b
void add(Queue& queue, const BinaryArgs& args);
// out = a b
void multiply(Queue& queue, const BinaryArgs& args);

// out = a + scale b; with out = a it accumulates.
struct AddScaledArgs {
  int64_t count = 0;
  const float* a = nullptr;
  float scale = 1;
  const float* b = nullptr;
  float* out = nullptr;
};
void add_scaled(Queue& queue, const AddScaledArgs& args);

// x, out: [rows, dim]; vector: [period, dim], row r uses vector row r % period. A bias or
// LayerScale has period 1; a position embedding [N, D] on tokens [B, N, D] has rows B N and period
// N.
struct BroadcastArgs {
  int64_t rows = 0;
  int64_t dim = 0;
  const float* x = nullptr;
  const float* vector = nullptr;
  int64_t period = 1;
  float* out = nullptr;
};
// out = x + vector
void add_broadcast(Queue& queue, const BroadcastArgs& args);
// out = x vector
void multiply_broadcast(Queue& queue, const BroadcastArgs& args);

}  // namespace vitrail::kernels
