// Elements picked by index, and put back: masking and its undoing (He et al., "Masked autoencoders
// are scalable vision learners", 2022, section 3), tables of embeddings. All refuse an index that
// is out of range, and shapes that do not fit.
#pragma once

#include "autograd/context.h"
#include "autograd/parameter.h"

namespace vitrail {

// y[b, k, :] = x[b, index[b, k], :]. x [B, N, D]; index i64 [B, K], each in [0, N), a token as
// often as one likes; returns [B, K, D]. Error: an index out of range, a shape that does not fit.
Variable gather_tokens(const Context& context, const Variable& x, const Tensor& index);

// The adjoint, out of place: y = x with y[b, index[b, k], :] += source[b, k, :]. x [B, N, D],
// source [B, K, D], index as above. A row adds what it is given in the order of k.
Variable scatter_add_tokens(const Context& context, const Variable& x, const Tensor& index,
                            const Variable& source);

// Elements along one axis, by one index for all: y[.., k, ..] = x[.., index[k], ..]; index i64 [K].
// As torch.index_select. A negative axis counts from the end.
Variable index_select(const Context& context, const Variable& x, int axis, const Tensor& index);
// y = x with y[.., index[k], ..] += source[.., k, ..], as torch.index_add. source is of x's shape,
// but for K along the axis.
Variable index_add(const Context& context, const Variable& x, int axis, const Tensor& index,
                   const Variable& source);

// Rows of a table [V, D] by number: index i64 [...], each in [0, V); returns [..., D]. The gradient
// of a row adds its uses in order.
Variable embedding(const Context& context, const Parameter& table, const Tensor& index);

}  // namespace vitrail
