// From the options of attention to what its kernels read, and back to the gradients of what was
// learned. For ops/attention.cpp.
#pragma once

#include <vector>

#include "kernels/attention.h"
#include "ops/attention.h"

namespace vitrail {

// Where q, k and v live: three parts of one tensor, q and two parts of another, or three tensors.
struct AttentionOperands {
  Variable q, k, v;
  int64_t width = 0;  // H*d
  int64_t q_part = 0, k_part = 0, v_part = 0;
  bool by_head = false;  // of one tensor: q, k and v of a head side by side, then the next head's
  // Floats of a row from a part to the next.
  int64_t part_step(int64_t dim) const { return by_head ? dim : width; }
  kernels::HeadView heads(const Tensor& tensor, int64_t dim, int64_t part) const;
  bool shares_all() const { return v_part == 2; }
  bool shares_memory() const { return v_part > 0; }  // k and v are of one tensor
};

// Heads of [B, N, H*d].
kernels::HeadView heads_of(const Tensor& tensor, int64_t dim);

struct AttentionDescription {
  kernels::AttentionArgs args;
  // q, k, v and all else that args points into: variables, of which some may be learned, and
  // tables.
  std::vector<Variable> variables;
  std::vector<Tensor> tables;
  int64_t width = 0;      // H*d
  int64_t part_step = 0;  // of the operands

  // Checks that every term fits. Error: one that does not, by name.
  AttentionDescription(const AttentionOperands& in, const AttentionOptions& options);

  // Where gradients of what was learned go. dq, dk, dv are the caller's; their padding is set here.
  void want_gradients(const AttentionOptions& options, kernels::AttentionBackward* grad) const;
};

}  // namespace vitrail
