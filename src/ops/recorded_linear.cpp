#include "ops/recorded_linear.h"

#include <optional>

#include "kernels/reduce.h"
#include "kernels/weight_gradient.h"
#include "ops/packed_weight.h"

namespace vitrail {
namespace {

using kernels::GemmOutput;
using kernels::Matrix;
using kernels::PackedBf16;
using kernels::PackedMatrix;
using kernels::RoundedRows;

// What the backward pass of one product needs. `x` or `x_rounded`, and the packed weight of its
// precision, are set.
struct Saved {
  int64_t rows, outputs, inputs;
  Shape x_shape, weight_shape;
  SavedTensor x, weight;
  RoundedRows x_rounded;
  std::shared_ptr<const PackedMatrix> packed;
  std::shared_ptr<const PackedBf16> packed_rounded;
  bool bf16() const { return !x.defined(); }
};

// Where a parameter's gradient goes: into the slot's, or into a new tensor that becomes it.
class ParameterGradient {
 public:
  ParameterGradient(GradientSlot& slot, const Shape& shape)
      : slot_(slot),
        first_(!slot.has_gradient()),
        value_(first_ ? Tensor::empty(shape) : slot.accumulator(shape)) {}
  kernels::GradientOutput output() const { return {value_.f32(), !first_}; }
  void finish(Queue& queue) {
    if (first_) slot_.accumulate(queue, std::move(value_));
  }

 private:
  GradientSlot& slot_;
  bool first_;
  Tensor value_;
};

void weight_backward(Queue& queue, const Saved& saved, const Tensor& dy, GradientSlot& w_slot,
                     GradientSlot* b_slot) {
  ParameterGradient dw(w_slot, saved.weight_shape);
  std::optional<ParameterGradient> db;
  if (b_slot != nullptr) db.emplace(*b_slot, Shape{saved.outputs});
  kernels::WeightGradientArgs args{.rows = saved.rows,
                                   .outputs = saved.outputs,
                                   .inputs = saved.inputs,
                                   .dy = dy.f32(),
                                   .x_stride = saved.inputs,
                                   .bf16 = saved.bf16(),
                                   .dw = dw.output()};
  if (db) args.db = db->output();
  if (saved.bf16()) {
    args.x_bf16 = static_cast<const uint16_t*>(saved.x_rounded.values.raw());
    args.x_stride = saved.x_rounded.stride;
  } else {
    args.x = saved.x.get().f32();
  }
  const Tensor workspace =
      Tensor::empty({kernels::weight_gradient_workspace(queue, args)}, DType::u8);
  kernels::weight_gradient(queue, args, workspace.raw());
  dw.finish(queue);
  if (db) db->finish(queue);
}

void input_backward(Queue& queue, const Saved& saved, const Tensor& dy, GradientSlot& slot) {
  (void)saved.weight.get();  // throws if the weight was changed since it was packed
  const bool first = !slot.has_gradient();
  Tensor dx = first ? Tensor::empty(saved.x_shape) : slot.accumulator(saved.x_shape);
  const GemmOutput output{
      .data = dx.f32(), .row_stride = saved.inputs, .accumulate = !first, .epilogue = {}};
  const Matrix gradient = Matrix::row_major(dy.f32(), saved.rows, saved.outputs);
  if (saved.bf16())
    kernels::gemm_bf16(queue, kernels::round_rows(queue, gradient), *saved.packed_rounded, output);
  else
    kernels::gemm(queue, gradient, *saved.packed, output);
  if (first) slot.accumulate(queue, std::move(dx));
}

}  // namespace

Variable recorded_linear(const Context& context, const Variable& x, const Parameter& weight,
                         const Parameter* bias, const Variable* residual, bool bf16) {
  Queue& queue = context.queue;
  const Variable w = weight.variable();
  const Variable b = bias == nullptr ? Variable() : bias->variable();
  const Variable r = residual == nullptr ? Variable() : *residual;
  const bool recorded = records(context, {&x, &w, &b, &r});
  Saved saved;
  saved.outputs = weight.shape()[0];
  saved.inputs = input_size(weight);
  saved.rows = saved.inputs == 0 ? 0 : x.value().numel() / saved.inputs;
  saved.x_shape = x.shape();
  saved.weight_shape = weight.shape();

  Shape shape = x.shape();
  shape[-1] = saved.outputs;
  Tensor y = Tensor::empty(shape);
  GemmOutput output{.data = y.f32(), .row_stride = saved.outputs};
  output.epilogue.bias = b.value().f32();
  output.epilogue.residual = r.value().f32();
  output.epilogue.residual_stride = saved.outputs;
  const Matrix rows = Matrix::row_major(x.value().f32(), saved.rows, saved.inputs);
  const bool wants_dx = recorded && x.needs_gradient();
  if (bf16) {
    saved.x_rounded = kernels::round_rows(queue, rows);
    kernels::gemm_bf16(queue, saved.x_rounded, *packed_bf16(queue, weight), output);
    if (wants_dx) saved.packed_rounded = packed_bf16_backward(queue, weight);
  } else {
    kernels::gemm(queue, rows, *packed_f32(queue, weight), output);
    saved.x = SavedTensor(x.value());
    if (wants_dx) saved.packed = packed_f32_backward(queue, weight);
  }
  if (!recorded) return y;
  saved.weight = SavedTensor(w.value());
  if (!w.needs_gradient()) saved.x_rounded.values = {};
  return context.tape->record(
      "linear", std::move(y), {x, w, b, r},
      [x_slot = x.slot(), w_slot = w.slot(), b_slot = b.slot(), r_slot = r.slot(),
       saved = std::move(saved)](Queue& on, const Tensor& dy) {
        if (w_slot) {
          weight_backward(on, saved, dy, *w_slot, b_slot.get());
        } else if (b_slot) {
          Tensor db = b_slot->accumulator({saved.outputs});
          kernels::sum_rows(on, {.rows = saved.rows,
                                 .dim = saved.outputs,
                                 .x = dy.f32(),
                                 .x_stride = saved.outputs,
                                 .out = db.f32()});
        }
        if (x_slot) input_backward(on, saved, dy, *x_slot);
        // Last, since the slot keeps dy itself and later gradients are added into it.
        if (r_slot) r_slot->accumulate(on, dy);
      });
}

}  // namespace vitrail
