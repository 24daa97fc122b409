// Where elements stand: repeated, rolled round an axis, with a margin or without one. Axes count
// from the end where they are negative. (reshape, permute, slices and concatenation: ops/tokens.h.)
#pragma once

#include <vector>

#include "autograd/context.h"

namespace vitrail {

// x repeated to `shape` as NumPy broadcasts; the gradient is summed over what was repeated.
// Error: x does not fit.
Variable expand(const Context& context, const Variable& x, const Shape& shape);

struct AxisShift {
  int axis = 0;
  int64_t steps = 0;  // towards higher indices; what leaves at the end comes in at the front
};
// As torch.roll: shifted windows roll a map before and after (Liu et al. 2021, Swin, figure 4).
// Error: an axis that x has not, or that is named twice.
Variable roll(const Context& context, const Variable& x, const std::vector<AxisShift>& shifts);

struct AxisMargin {
  int axis = 0;
  int64_t before = 0, after = 0;  // elements put there; taken away where negative
};
// Margins filled with `value`: windows pad a map to a multiple of their size, and crop it after.
// Error: an axis that x has not, or that is named twice; more is taken away than there is.
Variable pad(const Context& context, const Variable& x, const std::vector<AxisMargin>& margins,
             float value = 0);

}  // namespace vitrail
