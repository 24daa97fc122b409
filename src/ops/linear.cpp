#include "ops/linear.h"

#include "autograd/timing.h"
#include "kernels/gemm.h"
#include "kernels/gemm_bf16.h"
#include "kernels/gemm_int8.h"
#include "kernels/isa.h"
#include "kernels/reduce.h"
#include "ops/activation.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"

namespace vitrail {
namespace {

using kernels::Matrix;
using kernels::PackedBf16;
using kernels::PackedInt8;
using kernels::PackedMatrix;

int64_t input_size(const Parameter& weight) {
  return weight.shape()[0] == 0 ? 0 : weight.shape().numel() / weight.shape()[0];
}

Matrix transposed(const Tensor& value, const Parameter& weight) {
  return Matrix::row_major(value.f32(), weight.shape()[0], input_size(weight)).transposed();
}

// The weight's packed forms, one for each precision and instruction set.
std::shared_ptr<const PackedMatrix> packed_f32(Queue& queue, const Parameter& weight) {
  return weight.derived<PackedMatrix>(
      "packed.f32." + kernels::active_isa(),
      [&](const Tensor& value) { return kernels::pack(queue, transposed(value, weight)); });
}
std::shared_ptr<const PackedBf16> packed_bf16(Queue& queue, const Parameter& weight) {
  return weight.derived<PackedBf16>(
      "packed.bf16." + kernels::active_isa(),
      [&](const Tensor& value) { return kernels::pack_bf16(queue, transposed(value, weight)); });
}
std::shared_ptr<const PackedInt8> packed_int8(Queue& queue, const Parameter& weight) {
  return weight.derived<PackedInt8>(
      "packed.int8." + kernels::active_isa(), [&](const Tensor& value) {
        return kernels::pack_int8(queue, kernels::quantize_weight(queue, value.f32(),
                                                                  weight.shape()[0],
                                                                  input_size(weight)));
      });
}

Precision usable(Precision precision, const Parameter& weight) {
  const bool too_deep = input_size(weight) > kernels::kMaxInt8Depth;
  return precision == Precision::int8 && too_deep ? Precision::bf16 : precision;
}

Tensor workspace_for(const Matrix& a, const Matrix& b) {
  return Tensor::empty({kernels::gemm_workspace(a, b)}, DType::u8);
}

Tensor forward(Queue& queue, const Tensor& x, const Parameter& weight, const Parameter* bias,
               const LinearEpilogue& epilogue, Precision precision) {
  const int64_t outputs = weight.shape()[0], inputs = input_size(weight);
  Shape shape = x.shape();
  shape[-1] = outputs;
  Tensor y = Tensor::empty(shape);
  const int64_t rows = inputs == 0 ? 0 : x.numel() / inputs;
  kernels::GemmOutput output{.data = y.f32(), .row_stride = outputs};
  output.epilogue.bias = bias == nullptr ? nullptr : bias->value().f32();
  output.epilogue.activation = epilogue.activation;
  if (epilogue.layer_scale != nullptr)
    output.epilogue.column_scale = epilogue.layer_scale->value().f32();
  if (epilogue.residual != nullptr) {
    output.epilogue.residual = epilogue.residual->value().f32();
    output.epilogue.residual_stride = outputs;
  }
  const Matrix a = Matrix::row_major(x.f32(), rows, inputs);
  const auto scratch = [](int64_t bytes) { return Tensor::empty({bytes}, DType::u8); };
  switch (usable(precision, weight)) {
    case Precision::f32:
      kernels::gemm(queue, a, *packed_f32(queue, weight), output);
      break;
    case Precision::bf16: {
      const auto packed = packed_bf16(queue, weight);
      const Tensor workspace = scratch(kernels::gemm_bf16_workspace(rows, *packed));
      kernels::gemm_bf16(queue, a, *packed, output, workspace.raw());
      break;
    }
    case Precision::int8: {
      const auto packed = packed_int8(queue, weight);
      const Tensor workspace = scratch(kernels::gemm_int8_workspace(rows, *packed));
      kernels::gemm_int8(queue, a, *packed, output, workspace.raw());
      break;
    }
  }
  return y;
}

// The product and bias alone, recorded.
Variable product(const Context& context, const Variable& x, const Parameter& weight,
                 const Parameter* bias) {
  Tensor y = forward(context.queue, x.value(), weight, bias, {}, Precision::f32);
  const Variable w = weight.variable();
  const Variable b = bias == nullptr ? Variable() : bias->variable();
  if (!records(context, {&x, &w, &b})) return y;
  const int64_t outputs = weight.shape()[0], inputs = input_size(weight);
  return context.tape->record(
      "linear", std::move(y), {x, w, b},
      [x_slot = x.slot(), w_slot = w.slot(), b_slot = b.slot(), outputs, inputs,
       weight_shape = weight.shape(), x_saved = SavedTensor(x.value()),
       w_saved = SavedTensor(w.value())](Queue& queue, const Tensor& dy) {
        const int64_t rows = outputs == 0 ? 0 : dy.numel() / outputs;
        const Matrix gradient = Matrix::row_major(dy.f32(), rows, outputs);
        if (x_slot) {
          Tensor dx = Tensor::empty(x_saved.get().shape());
          const Matrix w_matrix = Matrix::row_major(w_saved.get().f32(), outputs, inputs);
          kernels::gemm(queue, gradient, w_matrix, {.data = dx.f32(), .row_stride = inputs},
                        workspace_for(gradient, w_matrix).raw());
          x_slot->accumulate(queue, std::move(dx));
        }
        if (w_slot) {
          const bool first = !w_slot->has_gradient();
          Tensor dw = first ? Tensor::empty(weight_shape) : w_slot->gradient();
          const Matrix x_matrix = Matrix::row_major(x_saved.get().f32(), rows, inputs);
          kernels::gemm(queue, gradient.transposed(), x_matrix,
                        {.data = dw.f32(), .row_stride = inputs, .accumulate = !first},
                        workspace_for(gradient.transposed(), x_matrix).raw());
          if (first) w_slot->accumulate(queue, std::move(dw));
        }
        if (b_slot) {
          Tensor db = b_slot->accumulator({outputs});
          kernels::sum_rows(
              queue,
              {.rows = rows, .dim = outputs, .x = dy.f32(), .x_stride = outputs, .out = db.f32()});
        }
      });
}

}  // namespace

Variable linear(const Context& context, const Variable& x, const Parameter& weight,
                const Parameter* bias, const LinearEpilogue& epilogue) {
  const int64_t outputs = weight.shape()[0];
  check(x.shape().rank() >= 1 && x.size(-1) == input_size(weight), "linear",
        "{} of {} does not take an input of {}", weight.path(), weight.shape().str(),
        x.shape().str());
  check(bias == nullptr || bias->shape() == Shape{outputs}, "linear",
        "{} must have one value for each of {} outputs", bias == nullptr ? "" : bias->path(),
        outputs);
  const Variable* residual = epilogue.residual;
  Shape shape = x.shape();
  shape[-1] = outputs;
  check(residual == nullptr || residual->shape() == shape, "linear",
        "{}: a residual of {} does not fit an output of {}", weight.path(),
        residual == nullptr ? "" : residual->shape().str(), shape.str());

  const Timed timed(context, {"linear", weight.path(), x.value().numel() * outputs});
  const Variable w = weight.variable();
  const Variable b = bias == nullptr ? Variable() : bias->variable();
  const Variable gamma =
      epilogue.layer_scale == nullptr ? Variable() : epilogue.layer_scale->variable();
  const bool random = context.dropout && (epilogue.dropout > 0 || epilogue.drop_path > 0);
  if (!random && !records(context, {&x, &w, &b, &gamma, residual})) {
    const Precision precision =
        context.precision == nullptr ? Precision::f32 : context.precision->of(weight.path());
    return forward(context.queue, x.value(), weight, bias, epilogue, precision);
  }

  Variable y = product(context, x, weight, bias);
  if (epilogue.activation != kernels::Activation::none)
    y = activation(context, y, epilogue.activation);
  const std::string path(epilogue.path);
  y = dropout(context, y, epilogue.dropout, path + ".dropout");
  if (epilogue.layer_scale != nullptr) y = layer_scale(context, y, *epilogue.layer_scale);
  y = drop_path(context, y, epilogue.drop_path, path + ".drop_path");
  if (residual != nullptr) y = add(context, y, *residual);
  return y;
}

void prepare_linear(Queue& queue, const Parameter& weight, Precision precision) {
  switch (usable(precision, weight)) {
    case Precision::f32:
      packed_f32(queue, weight);
      break;
    case Precision::bf16:
      packed_bf16(queue, weight);
      break;
    case Precision::int8:
      packed_int8(queue, weight);
      break;
  }
}

}  // namespace vitrail
