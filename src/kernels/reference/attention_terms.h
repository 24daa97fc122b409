// The operands and terms of attention, spread out in double precision: what kernels/attention.h
// describes becomes the plain input of reference/attention.h, and its gradients go back to what is
// learned.
#pragma once

#include <vector>

#include "kernels/attention.h"
#include "kernels/reference/attention.h"

namespace vitrail::kernels::reference {

// q, k, v [B, H, N, d] by token, transformed and rounded as the precision has it; every bias,
// [B, H, Nq, Nk].
AttentionInput spread(const AttentionArgs& args);

struct TransformGradients {
  std::vector<double> x;             // [B, H, N, d], of what was read, by token
  std::vector<double> weight, bias;  // [d]
  std::vector<double> gain;          // [H]
  std::vector<double> angles;        // [H, N - prefix, d/2]
};
struct TermGradients {
  TransformGradients q, k;
  std::vector<double> dv;     // [B, H, Nk, d]
  std::vector<double> dense;  // [B, H, Nq, Nk]
  std::vector<double> table;  // [entries, H]
  std::vector<double> slopes;
  std::vector<double> rows, columns;  // decomposed, [entries, d]
};
// d_o [B, H, Nq, d].
TermGradients spread_backward(const AttentionArgs& args, const std::vector<double>& d_o);

}  // namespace vitrail::kernels::reference
