#include "ops/matmul.h"

#include <vector>

#include "autograd/timing.h"
#include "kernels/batched_gemm.h"
#include "kernels/copy.h"
#include "ops/broadcast.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

Shape stack_of(const Shape& shape) {
  return Shape(std::span<const int64_t>(shape.begin(), shape.end() - 2));
}

Shape with_matrix(const Shape& stack, int64_t rows, int64_t columns) {
  std::vector<int64_t> dims(stack.begin(), stack.end());
  dims.push_back(rows);
  dims.push_back(columns);
  return Shape(std::span<const int64_t>(dims));
}

// The last two axes in the other order.
View transposed_matrices(View view) {
  const int last = view.shape.rank() - 1;
  std::swap(view.shape[last], view.shape[last - 1]);
  std::swap(view.strides[static_cast<size_t>(last)], view.strides[static_cast<size_t>(last - 1)]);
  return view;
}

// An operand for each matrix of `stack`.
View stacked(const Tensor& x, const Shape& stack, bool transpose) {
  const View view = kernels::broadcast_to(x.view(), with_matrix(stack, x.size(-2), x.size(-1)));
  return transpose ? transposed_matrices(view) : view;
}

Tensor matrix_products(Queue& queue, const View& a, const View& b) {
  Shape shape = a.shape;
  shape[-1] = b.shape[-1];
  Tensor out = Tensor::empty(shape);
  kernels::batched_gemm(queue, {.a = a, .b = b, .out = out.view()});
  return out;
}

// With A = op(a) and B = op(b): dA = dY B^T, dB = A^T dY; the gradient of a transposed operand is
// the transposed product, B dY^T and dY^T A.
struct MatmulGradient {
  Shape stack;
  MatmulOptions options;

  Tensor of_a(Queue& queue, const Tensor& dy, const Tensor& b, const Shape& a) const {
    const View from_y = dy.view();
    const Tensor da = options.transpose_a
                          ? matrix_products(queue, stacked(b, stack, options.transpose_b),
                                            transposed_matrices(from_y))
                          : matrix_products(queue, from_y, stacked(b, stack, !options.transpose_b));
    return summed_to(queue, da, a);
  }
  Tensor of_b(Queue& queue, const Tensor& dy, const Tensor& a, const Shape& b) const {
    const View from_y = dy.view();
    const Tensor db = options.transpose_b
                          ? matrix_products(queue, transposed_matrices(from_y),
                                            stacked(a, stack, options.transpose_a))
                          : matrix_products(queue, stacked(a, stack, !options.transpose_a), from_y);
    return summed_to(queue, db, b);
  }
};

}  // namespace

Variable matmul(const Context& context, const Variable& a, const Variable& b,
                const MatmulOptions& options) {
  check(a.shape().rank() >= 2 && b.shape().rank() >= 2, "matmul",
        "{} and {} must have two axes or more", a.shape().str(), b.shape().str());
  const int64_t rows = a.size(options.transpose_a ? -1 : -2);
  const int64_t depth = a.size(options.transpose_a ? -2 : -1);
  const int64_t columns = b.size(options.transpose_b ? -2 : -1);
  check(b.size(options.transpose_b ? -1 : -2) == depth, "matmul",
        "{}{} cannot be multiplied by {}{}: the sums would have {} and {} terms", a.shape().str(),
        options.transpose_a ? " transposed" : "", b.shape().str(),
        options.transpose_b ? " transposed" : "", depth, b.size(options.transpose_b ? -1 : -2));
  const Shape stack = broadcast_shape("matmul", stack_of(a.shape()), stack_of(b.shape()));
  const Shape shape = with_matrix(stack, rows, columns);
  // One b for all of a stack: its rows are those of one large matrix.
  if (b.shape().rank() == 2 && a.shape().rank() > 2 && !options.transpose_a) {
    const Variable flat = reshape(context, a, {stack.numel() * rows, depth});
    return reshape(context, matmul(context, flat, b, options), shape);
  }
  const Timed timed(context, {"matmul", {}, shape.numel() * depth, Precision::f32});
  Tensor y = matrix_products(context.queue, stacked(a.value(), stack, options.transpose_a),
                             stacked(b.value(), stack, options.transpose_b));
  if (!records(context, {&a, &b})) return y;
  SavedTensor a_saved, b_saved;  // each is needed by the other's gradient alone
  if (b.needs_gradient()) a_saved = SavedTensor(a.value());
  if (a.needs_gradient()) b_saved = SavedTensor(b.value());
  return context.tape->record(
      "matmul", std::move(y), {a, b},
      [gradient = MatmulGradient{stack, options}, a_saved, b_saved, a_slot = a.slot(),
       b_slot = b.slot(), a_shape = a.shape(),
       b_shape = b.shape()](Queue& queue, const Tensor& dy) {
        if (a_slot) a_slot->accumulate(queue, gradient.of_a(queue, dy, b_saved.get(), a_shape));
        if (b_slot) b_slot->accumulate(queue, gradient.of_b(queue, dy, a_saved.get(), b_shape));
      });
}

}  // namespace vitrail
