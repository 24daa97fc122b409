#include "kernels/batched_gemm.h"

#include <algorithm>
#include <cassert>

#include "kernels/gemm.h"

namespace vitrail::kernels {
namespace {

// Product `index` of the stack starts here, in elements.
int64_t stack_offset(const View& view, int64_t index) {
  int64_t offset = 0;
  for (int axis = view.shape.rank() - 3; axis >= 0; --axis) {
    offset += index % view.shape[axis] * view.strides[axis];
    index /= view.shape[axis];
  }
  return offset;
}

Matrix matrix_at(const View& view, int64_t index) {
  const int rank = view.shape.rank();
  return {.data = view.as<float>() + stack_offset(view, index),
          .rows = view.shape[rank - 2],
          .columns = view.shape[rank - 1],
          .row_stride = view.strides[rank - 2],
          .column_stride = view.strides[rank - 1]};
}

}  // namespace

void batched_gemm(Queue& queue, const BatchedGemmArgs& args) {
  const int rank = args.out.shape.rank();
  assert(rank >= 2 && args.a.shape.rank() == rank && args.b.shape.rank() == rank);
  assert(args.a.shape[rank - 1] == args.b.shape[rank - 2] && args.out.strides[rank - 1] == 1);
  if (args.out.shape.numel() == 0) return;
  int64_t count = 1;
  for (int axis = 0; axis < rank - 2; ++axis) count *= args.out.shape[axis];
  const int64_t line = static_cast<int64_t>(kAlignment);
  const int64_t room =
      (gemm_workspace(matrix_at(args.a, 0), matrix_at(args.b, 0)) + line - 1) / line * line;
  const auto product = [&](int64_t index, void* workspace) {
    gemm(queue, matrix_at(args.a, index), matrix_at(args.b, index),
         {.data = args.out.as<float>() + stack_offset(args.out, index),
          .row_stride = args.out.strides[rank - 2],
          .accumulate = false,
          .epilogue = {}},
         workspace);
  };
  const int threads = queue.pool().num_threads();
  const bool many = count >= 4 * threads;
  const Tensor workspace = Tensor::empty({many ? threads : 1, room}, DType::u8);
  auto* scratch = static_cast<std::byte*>(workspace.raw());
  if (many)
    queue.pool().parallel_for(
        count, [&](int64_t index, int worker) { product(index, scratch + worker * room); });
  else
    for (int64_t index = 0; index < count; ++index) product(index, scratch);
}

}  // namespace vitrail::kernels
