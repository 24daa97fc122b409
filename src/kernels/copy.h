// Copies between strided f32 views: permutation, concatenation and slices are all of this kind.
#pragma once

#include "core/queue.h"
#include "core/tensor.h"

namespace vitrail::kernels {

// to = from, element by element. Both views f32, of the same shape (any rank), not overlapping.
// A stride of 0 in `from` repeats an element. Threads take blocks of the outer axes.
void copy_strided(Queue& queue, const View& to, const View& from);
// to += from; strides of `to` must reach distinct elements.
void add_strided(Queue& queue, const View& to, const View& from);

// The view repeated to `shape` as NumPy broadcasts: axes are matched from the last one, and an axis
// of size 1, or one that is missing in front, gets a stride of 0. Other sizes must be equal.
View broadcast_to(const View& view, const Shape& shape);

}  // namespace vitrail::kernels
