// What operations with NumPy's broadcasting share.
#pragma once

#include "core/queue.h"
#include "core/tensor.h"

namespace vitrail {

// The shape that two operands meet in: axes are matched from the last one, and sizes of 1 are
// repeated. Error: other sizes differ.
Shape broadcast_shape(const char* place, const Shape& a, const Shape& b);

// x repeated to `shape`, as a copy. The caller has checked that it can be.
Tensor expanded(Queue& queue, const Tensor& x, const Shape& shape);

// The adjoint of expanded(): x summed over the axes in which `shape` is repeated to x's, times
// `factor` of x's shape when it is given. x itself where there is nothing to sum or multiply.
Tensor summed_to(Queue& queue, const Tensor& x, const Shape& shape, const Tensor* factor = nullptr);

}  // namespace vitrail
