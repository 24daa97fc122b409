// Dropout (Srivastava et al. 2014) and stochastic depth (Huang et al. 2016). Both return x itself
// unless context.dropout is on and the probability is positive. Random numbers are keyed by
// (context.random, path), so a replayed forward pass draws the same ones.
#pragma once

#include <string_view>

#include "autograd/context.h"

namespace vitrail {

// Error: a probability outside [0, 1).
Variable dropout(const Context& context, const Variable& x, double probability,
                 std::string_view path);
// Drops whole samples (the first axis) of a residual branch.
Variable drop_path(const Context& context, const Variable& x, double probability,
                   std::string_view path);

}  // namespace vitrail
