// From the options of attention to what its kernels read, and back to the gradients of what was
// learned. For ops/attention.cpp.
#pragma once

#include <vector>

#include "kernels/attention.h"
#include "ops/attention.h"

namespace vitrail {

// Where the heads of an operand lie in a row of its tensor: head h from first + h * step on.
struct HeadPlace {
  int64_t first = 0, step = 0;
};

// Where q, k and v live: in one tensor, q and k with v in another, or in three tensors.
struct AttentionOperands {
  Variable q, k, v;
  int64_t head_dim = 0, value_dim = 0;  // of q and k; of v
  HeadPlace q_place, k_place, v_place;
  bool shares_all = false;     // q, k and v are of one tensor
  bool shares_memory = false;  // k and v are
};

// Heads of [B, N, D].
kernels::HeadView heads_of(const Tensor& tensor, const HeadPlace& place);

struct AttentionDescription {
  kernels::AttentionArgs args;
  // q, k, v and all else that args points into: variables, of which some may be learned, and
  // tables.
  std::vector<Variable> variables;
  std::vector<Tensor> tables;
  AttentionOperands in;

  // Of the output, [B, N, H * value_dim].
  int64_t output_width() const { return args.shape.heads * args.shape.value_dim(); }
  HeadPlace output_place() const { return {.step = args.shape.value_dim()}; }

  // Checks that every term fits. Error: one that does not, by name.
  AttentionDescription(const AttentionOperands& operands, const AttentionOptions& options);

  // Where gradients of what was learned go. dq, dk, dv are the caller's; their padding is set here.
  void want_gradients(const AttentionOptions& options, kernels::AttentionBackward* grad) const;

  // What stands for a token without a row, as AttentionOptions::padding has it: q, k and v.
  struct Padding {
    int64_t size, k, v;
  };
  Padding padding() const;
};

}  // namespace vitrail
