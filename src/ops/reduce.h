// Reductions over axes of a tensor. Axes count from the end where they are negative; each is named
// once. The axes are left out of the result's shape, or stay with size 1 where `keep_axes` says so.
// Error: an axis that x has not, or that is named twice.
#pragma once

#include <vector>

#include "autograd/context.h"

namespace vitrail {

Variable sum_over(const Context& context, const Variable& x, const std::vector<int>& axes,
                  bool keep_axes = false);
// Error, too: nothing to average.
Variable mean_over(const Context& context, const Variable& x, const std::vector<int>& axes,
                   bool keep_axes = false);
// The gradient goes to the first of equal values in the order of memory, as torch.max over one axis
// has it (torch.amax would share it out). NaN wins over numbers. Error, too: an axis without
// elements.
Variable max_over(const Context& context, const Variable& x, const std::vector<int>& axes,
                  bool keep_axes = false);

// The largest of x[0 .. a] along `axis`; the gradient goes to the last of equal values, as
// torch.cummax has it.
Variable cumulative_maximum(const Context& context, const Variable& x, int axis);

struct TopK {
  Variable values;  // [..., k], from the largest down
  Tensor indices;   // [..., k] i64; equal values from the first up
};
// Along the last axis; the gradient of the values goes to the chosen elements. Error: k is not in
// [0, size].
TopK top_k(const Context& context, const Variable& x, int64_t k);

}  // namespace vitrail
