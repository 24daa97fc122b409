#include "ops/gather.h"

#include <vector>

#include "autograd/timing.h"
#include "kernels/gather.h"
#include "ops/axes.h"

namespace vitrail {
namespace {

void check_index(const char* place, const Tensor& index, int64_t rows) {
  check(index.dtype() == DType::i64, place, "indices must be i64, not {}", name_of(index.dtype()));
  for (const int64_t i : std::span(index.data<int64_t>(), static_cast<size_t>(index.numel())))
    check(i >= 0 && i < rows, place, "index {} must be in [0, {})", i, rows);
}

// Rows of x [outer, rows, dim] that are picked: y [outer, picked, dim].
struct Picking {
  int64_t outer = 0, rows = 0, picked = 0, dim = 0;
  bool shared_index = false;

  void gather(Queue& queue, const Tensor& x, const Tensor& index, const Tensor& y) const {
    kernels::gather(queue, {.outer = outer,
                            .rows = rows,
                            .picked = picked,
                            .dim = dim,
                            .x = x.f32(),
                            .index = index.data<int64_t>(),
                            .y = y.f32(),
                            .shared_index = shared_index});
  }
  // to [outer, rows, dim] +=
  void scatter_add(Queue& queue, const Tensor& source, const Tensor& index,
                   const Tensor& to) const {
    kernels::gather_backward(queue, {.outer = outer,
                                     .rows = rows,
                                     .picked = picked,
                                     .dim = dim,
                                     .index = index.data<int64_t>(),
                                     .dy = source.f32(),
                                     .dx = to.f32(),
                                     .shared_index = shared_index});
  }
};

// Checks x and index of the operations on tokens.
Picking tokens_of(const char* place, const Shape& x, const Tensor& index) {
  check(x.rank() == 3, place, "{} must be [B, N, D]", x.str());
  check(index.rank() == 2 && index.size(0) == x[0], place, "indices {} must be [{}, K]",
        index.shape().str(), x[0]);
  check_index(place, index, x[1]);
  return {.outer = x[0], .rows = x[1], .picked = index.size(1), .dim = x[2]};
}

Picking along_axis(const char* place, const Shape& x, int axis, const Tensor& index) {
  check(index.rank() == 1, place, "indices {} must be [K]", index.shape().str());
  check_index(place, index, x[axis]);
  const AxisSplit split = split_at(x, axis);
  return {.outer = split.outer,
          .rows = split.axis,
          .picked = index.size(0),
          .dim = split.inner,
          .shared_index = true};
}

Variable picked(const Context& context, const char* name, const Variable& x, const Tensor& index,
                const Picking& picking, const Shape& shape, std::string_view path = {}) {
  const Timed timed(context, {name, path});
  Tensor y = Tensor::empty(shape);
  picking.gather(context.queue, x.value(), index, y);
  if (!records(context, {&x})) return y;
  return context.tape->record(name, std::move(y), {x},
                              [picking, slot = x.slot(), from = x.shape(),
                               saved = SavedTensor(index)](Queue& queue, const Tensor& dy) {
                                picking.scatter_add(queue, dy, saved.get(),
                                                    slot->accumulator(from));
                              });
}

Variable added(const Context& context, const char* name, const Variable& x, const Tensor& index,
               const Variable& source, const Picking& picking) {
  const Timed timed(context, {name});
  Tensor y = x.value().clone();
  picking.scatter_add(context.queue, source.value(), index, y);
  if (!records(context, {&x, &source})) return y;
  return context.tape->record(
      name, std::move(y), {x, source},
      [picking, x_slot = x.slot(), source_slot = source.slot(), shape = source.shape(),
       saved = SavedTensor(index)](Queue& queue, const Tensor& dy) {
        if (source_slot) {
          Tensor dsource = Tensor::empty(shape);
          picking.gather(queue, dy, saved.get(), dsource);
          source_slot->accumulate(queue, std::move(dsource));
        }
        // Last, since the slot keeps dy itself and later gradients are added into it.
        if (x_slot) x_slot->accumulate(queue, dy);
      });
}

void check_source(const char* place, const Variable& source, const Shape& wanted) {
  check(source.shape() == wanted, place, "a source of {} must be {}", source.shape().str(),
        wanted.str());
}

}  // namespace

Variable gather_tokens(const Context& context, const Variable& x, const Tensor& index) {
  const Picking picking = tokens_of("gather_tokens", x.shape(), index);
  return picked(context, "gather_tokens", x, index, picking,
                {picking.outer, picking.picked, picking.dim});
}

Variable scatter_add_tokens(const Context& context, const Variable& x, const Tensor& index,
                            const Variable& source) {
  const Picking picking = tokens_of("scatter_add_tokens", x.shape(), index);
  check_source("scatter_add_tokens", source, {picking.outer, picking.picked, picking.dim});
  return added(context, "scatter_add_tokens", x, index, source, picking);
}

Variable index_select(const Context& context, const Variable& x, int axis, const Tensor& index) {
  axis = checked_axis("index_select", x.shape(), axis);
  const Picking picking = along_axis("index_select", x.shape(), axis, index);
  Shape shape = x.shape();
  shape[axis] = picking.picked;
  return picked(context, "index_select", x, index, picking, shape);
}

Variable index_add(const Context& context, const Variable& x, int axis, const Tensor& index,
                   const Variable& source) {
  axis = checked_axis("index_add", x.shape(), axis);
  const Picking picking = along_axis("index_add", x.shape(), axis, index);
  Shape shape = x.shape();
  shape[axis] = picking.picked;
  check_source("index_add", source, shape);
  return added(context, "index_add", x, index, source, picking);
}

Variable embedding(const Context& context, const Parameter& table, const Tensor& index) {
  check(table.shape().rank() == 2, "embedding", "{} of {} is no table [V, D]", table.path(),
        table.shape().str());
  (void)table.value();  // says so where there is none
  check_index("embedding", index, table.shape()[0]);
  std::vector<int64_t> dims(index.shape().begin(), index.shape().end());
  dims.push_back(table.shape()[1]);
  const Picking picking{
      .outer = 1, .rows = table.shape()[0], .picked = index.numel(), .dim = table.shape()[1]};
  return picked(context, "embedding", table.variable(), index, picking,
                Shape(std::span<const int64_t>(dims)), table.path());
}

}  // namespace vitrail
