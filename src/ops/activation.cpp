#include "ops/activation.h"

#include "autograd/timing.h"

namespace vitrail {
namespace {

// Gate and value where the kernel finds them: two tensors, or the halves of one.
struct GateOperands {
  int64_t rows = 0, width = 0, stride = 0;
  int64_t gate_offset = 0, value_offset = 0;

  kernels::GateArgs forward(kernels::Activation kind, const Tensor& gate, const Tensor& value,
                            const Tensor& y) const {
    return {.activation = kind,
            .rows = rows,
            .width = width,
            .gate = gate.f32() + gate_offset,
            .gate_stride = stride,
            .value = value.f32() + value_offset,
            .value_stride = stride,
            .y = y.f32(),
            .y_stride = width};
  }
  void backward(Queue& queue, kernels::Activation kind, const Tensor& gate, const Tensor& value,
                const Tensor& dy, const Tensor& dgate, const Tensor& dvalue) const {
    kernels::gate_backward(queue, {.activation = kind,
                                   .rows = rows,
                                   .width = width,
                                   .gate = gate.f32() + gate_offset,
                                   .gate_stride = stride,
                                   .value = value.f32() + value_offset,
                                   .value_stride = stride,
                                   .dy = dy.f32(),
                                   .dy_stride = width,
                                   .dgate = dgate.f32() + gate_offset,
                                   .dgate_stride = stride,
                                   .dvalue = dvalue.f32() + value_offset,
                                   .dvalue_stride = stride});
  }
};

}  // namespace

Variable activation(const Context& context, const Variable& x, kernels::Activation kind) {
  if (kind == kernels::Activation::none) return x;
  const Timed timed(context, {"activation"});
  Tensor y = Tensor::empty(x.shape());
  kernels::activation(context.queue,
                      {.activation = kind, .count = y.numel(), .x = x.value().f32(), .y = y.f32()});
  if (!records(context, {&x})) return y;
  return context.tape->record(
      "activation", std::move(y), {x},
      [kind, slot = x.slot(), saved = SavedTensor(x.value())](Queue& queue, const Tensor& dy) {
        Tensor dx = Tensor::empty(dy.shape());
        kernels::activation_backward(queue, {.activation = kind,
                                             .count = dy.numel(),
                                             .x = saved.get().f32(),
                                             .dy = dy.f32(),
                                             .dx = dx.f32()});
        slot->accumulate(queue, std::move(dx));
      });
}

Variable gate(const Context& context, const Variable& gate, const Variable& value,
              kernels::Activation kind) {
  check(gate.shape() == value.shape() && gate.shape().rank() >= 1, "gate",
        "gate {} and value {} must have one shape", gate.shape().str(), value.shape().str());
  const Timed timed(context, {"gate"});
  const int64_t width = gate.size(-1);
  const GateOperands operands{
      .rows = width == 0 ? 0 : gate.value().numel() / width, .width = width, .stride = width};
  Tensor y = Tensor::empty(gate.shape());
  kernels::gate(context.queue, operands.forward(kind, gate.value(), value.value(), y));
  if (!records(context, {&gate, &value})) return y;
  return context.tape->record(
      "gate", std::move(y), {gate, value},
      [kind, operands, gate_slot = gate.slot(), value_slot = value.slot(),
       gate_saved = SavedTensor(gate.value()),
       value_saved = SavedTensor(value.value())](Queue& queue, const Tensor& dy) {
        Tensor dgate = Tensor::empty(dy.shape()), dvalue = Tensor::empty(dy.shape());
        operands.backward(queue, kind, gate_saved.get(), value_saved.get(), dy, dgate, dvalue);
        if (gate_slot) gate_slot->accumulate(queue, std::move(dgate));
        if (value_slot) value_slot->accumulate(queue, std::move(dvalue));
      });
}

Variable gate_packed(const Context& context, const Variable& x, kernels::Activation kind,
                     bool gate_last) {
  check(x.shape().rank() >= 1 && x.size(-1) % 2 == 0, "gate",
        "the last size of {} holds gate and value: it must be even", x.shape().str());
  const Timed timed(context, {"gate"});
  Shape shape = x.shape();
  const int64_t width = shape[-1] / 2;
  shape[-1] = width;
  const GateOperands operands{.rows = shape.numel() == 0 ? 0 : shape.numel() / width,
                              .width = width,
                              .stride = 2 * width,
                              .gate_offset = gate_last ? width : 0,
                              .value_offset = gate_last ? 0 : width};
  Tensor y = Tensor::empty(shape);
  kernels::gate(context.queue, operands.forward(kind, x.value(), x.value(), y));
  if (!records(context, {&x})) return y;
  return context.tape->record("gate_packed", std::move(y), {x},
                              [kind, operands, slot = x.slot(), saved = SavedTensor(x.value())](
                                  Queue& queue, const Tensor& dy) {
                                Tensor dx = Tensor::empty(saved.get().shape());
                                operands.backward(queue, kind, saved.get(), saved.get(), dy, dx,
                                                  dx);
                                slot->accumulate(queue, std::move(dx));
                              });
}

}  // namespace vitrail
