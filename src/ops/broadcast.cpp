#include "ops/broadcast.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "kernels/copy.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"

namespace vitrail {

Shape broadcast_shape(const char* place, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims(static_cast<size_t>(rank));
  for (int i = 0; i < rank; ++i) {
    const auto size_of_axis = [&](const Shape& shape) {
      const int missing = rank - shape.rank();
      return i < missing ? 1 : shape[i - missing];
    };
    const int64_t from_a = size_of_axis(a), from_b = size_of_axis(b);
    check(from_a == from_b || from_a == 1 || from_b == 1, place,
          "{} and {} do not fit together: sizes must be equal or 1, counted from the last axis",
          a.str(), b.str());
    dims[static_cast<size_t>(i)] = from_a == 1 ? from_b : from_a;
  }
  return Shape(std::span<const int64_t>(dims));
}

Tensor expanded(Queue& queue, const Tensor& x, const Shape& shape) {
  Tensor y = Tensor::empty(shape);
  kernels::copy_strided(queue, y.view(), kernels::broadcast_to(x.view(), shape));
  return y;
}

Tensor summed_to(Queue& queue, const Tensor& x, const Shape& shape, const Tensor* factor) {
  const int rank = x.rank(), missing = rank - shape.rank();
  const auto is_summed = [&](int axis) {
    return x.size(axis) != 1 && (axis < missing || shape[axis - missing] == 1);
  };
  Tensor sum = x;
  // Neighbouring axes are summed at once, the innermost first: what follows is small.
  int64_t inner = 1;
  int last = rank - 1;
  while (last >= 0) {
    if (!is_summed(last)) {
      inner *= x.size(last--);
      continue;
    }
    int64_t count = 1;
    int first = last;
    // Axes of size 1 between them are neither.
    while (first >= 0 && (is_summed(first) || x.size(first) == 1)) count *= x.size(first--);
    int64_t outer = 1;
    for (int i = 0; i <= first; ++i) outer *= x.size(i);
    const Tensor out = Tensor::empty({outer, inner});
    kernels::sum_axis(queue, {.outer = outer,
                              .axis = count,
                              .inner = inner,
                              .x = sum.f32(),
                              .y = factor == nullptr ? nullptr : factor->f32(),
                              .out = out.f32()});
    factor = nullptr;
    sum = out;
    last = first;
  }
  if (factor == nullptr) return sum.reshape(shape);
  Tensor product = Tensor::empty(shape);
  kernels::multiply(
      queue, {.count = product.numel(), .a = x.f32(), .b = factor->f32(), .out = product.f32()});
  return product;
}

}  // namespace vitrail
