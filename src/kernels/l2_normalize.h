// Rows scaled to length one, or to a length of their own: the bottleneck of DINO's head, and weight
// normalisation (Salimans and Kingma 2016, eq. 2).
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

struct L2NormalizeArgs {
  int64_t rows = 0;
  int64_t dim = 0;
  float epsilon = 1e-12f;       // a shorter row is divided by this, as torch's normalize has it
  const float* x = nullptr;     // [rows, dim], contiguous
  const float* gain = nullptr;  // [rows], optional: ones
  float* y = nullptr;           // = [rows, dim], may be x
  float* norm = nullptr;        // = [rows], optional: max(|x|, epsilon)
};
// y = gain x / max(|x|, epsilon). Sums of squares in f32. Threads take rows.
void l2_normalize(Queue& queue, const L2NormalizeArgs& args);

struct L2NormalizeBackwardArgs {
  int64_t rows = 0;
  int64_t dim = 0;
  float epsilon = 1e-12f;
  const float* x = nullptr;
  const float* gain = nullptr;  // optional
  const float* norm = nullptr;  // the forward's
  const float* dy = nullptr;
  float* dx = nullptr;     // =; null: not wanted; may be dy
  float* dgain = nullptr;  // += [rows]; null: not wanted
};
// With u = x / norm: dgain += u.dy; dx = gain / norm (dy - u (u.dy)), without the last term where
// norm is epsilon.
void l2_normalize_backward(Queue& queue, const L2NormalizeBackwardArgs& args);

}  // namespace vitrail::kernels
