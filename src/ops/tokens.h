// Rearranging and reducing tokens [B, N, D].
#pragma once

#include <span>

#include "autograd/context.h"

namespace vitrail {

// Same elements in another shape.
Variable reshape(const Context& context, const Variable& x, const Shape& shape);
// Axes in a new order: order[i] is the axis of x that becomes axis i.
Variable permute(const Context& context, const Variable& x, std::span<const int> order);
// Concatenation along `axis`; a part [1, n, D] is repeated over the batch when others have B > 1
// (class tokens). Error: other axes differ.
Variable concatenate(const Context& context, std::span<const Variable> parts, int axis);
// Elements [begin, end) along `axis`.
Variable slice(const Context& context, const Variable& x, int axis, int64_t begin, int64_t end);
// Mean over axis 1: [B, N, D] to [B, D].
Variable mean_tokens(const Context& context, const Variable& x);
// sum_n weights[b, n] x[b, n, :]: weights [B, N], x [B, N, D], returns [B, D] (sequence pooling).
Variable weighted_sum(const Context& context, const Variable& weights, const Variable& x);

}  // namespace vitrail
