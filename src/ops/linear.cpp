#include "ops/linear.h"

#include <optional>

#include "autograd/timing.h"
#include "kernels/gemm.h"
#include "kernels/gemm_bf16.h"
#include "kernels/gemm_int8.h"
#include "ops/activation.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/packed_weight.h"
#include "ops/recorded_linear.h"

namespace vitrail {
namespace {

using kernels::Matrix;

Precision usable(Precision precision, const Parameter& weight) {
  const bool too_deep = input_size(weight) > kernels::kMaxInt8Depth;
  return precision == Precision::int8 && too_deep ? Precision::bf16 : precision;
}

Tensor workspace_for(const Matrix& a, const Matrix& b) {
  return Tensor::empty({kernels::gemm_workspace(a, b)}, DType::u8);
}

Tensor forward(Queue& queue, const Tensor& x, const kernels::RowNorm* norm, const Parameter& weight,
               const Parameter* bias, const LinearEpilogue& epilogue, Precision precision) {
  const int64_t outputs = weight.shape()[0], inputs = input_size(weight);
  Shape shape = x.shape();
  shape[-1] = outputs;
  Tensor y = epilogue.destination == nullptr ? Tensor::empty(shape) : *epilogue.destination;
  y.storage()->bump_version();  // the destination may have been kept
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
  const kernels::LeftOperand left = norm == nullptr ? a : kernels::LeftOperand(a, *norm);
  const auto scratch = [](int64_t bytes) { return Tensor::empty({bytes}, DType::u8); };
  switch (usable(precision, weight)) {
    case Precision::f32:
      if (weight.read_in_place()) {
        const Matrix b = Matrix::row_major(weight.value().f32(), outputs, inputs).transposed();
        kernels::gemm(queue, a, b, output, workspace_for(a, b).raw());
        break;
      }
      kernels::gemm(queue, a, *packed_f32(queue, weight), output);
      break;
    case Precision::bf16: {
      const auto packed = packed_bf16(queue, weight);
      const Tensor workspace = scratch(kernels::gemm_bf16_workspace(rows, *packed));
      kernels::gemm_bf16(queue, left, *packed, output, workspace.raw());
      break;
    }
    case Precision::int8: {
      const auto packed = packed_int8(queue, weight);
      const Tensor workspace = scratch(kernels::gemm_int8_workspace(rows, *packed));
      kernels::gemm_int8(queue, left, *packed, output, workspace.raw());
      break;
    }
  }
  return y;
}

// Whether the product takes LayerNorm along. With a tape it does not: what a gradient needs of the
// norm is kept by layer_norm.
bool normalises_rows(const Context& context, Precision precision) {
  return context.tape == nullptr && !context.dropout && precision != Precision::f32;
}

std::optional<kernels::RowNorm> row_norm(const LayerNormWeights* norm, int64_t dim) {
  if (norm == nullptr) return std::nullopt;
  check(norm->gamma.shape() == Shape{dim} &&
            (norm->beta == nullptr || norm->beta->shape() == Shape{dim}),
        "layer_norm", "{} of {} does not fit rows of {}", norm->gamma.path(),
        norm->gamma.shape().str(), dim);
  return kernels::RowNorm{.kind = norm->kind,
                          .epsilon = static_cast<float>(norm->epsilon),
                          .gamma = norm->gamma.value().f32(),
                          .beta = norm->beta == nullptr ? nullptr : norm->beta->value().f32()};
}

}  // namespace

Variable linear(const Context& context, const LinearInput& input, const Parameter& weight,
                const Parameter* bias, const LinearEpilogue& epilogue) {
  const Variable& x = input.x();
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

  check(epilogue.destination == nullptr || epilogue.destination->shape() == shape, "linear",
        "{}: an output of {} does not fit where it is wanted", weight.path(), shape.str());

  const Precision precision =
      context.precision == nullptr ? Precision::f32 : context.precision->of(weight.path());
  if (input.norm() != nullptr && !normalises_rows(context, precision))
    return linear(context, layer_norm(context, x, *input.norm()), weight, bias, epilogue);

  const Timed timed(context, {"linear", weight.path(), x.value().numel() * outputs});
  const Variable w = weight.variable();
  const Variable b = bias == nullptr ? Variable() : bias->variable();
  const Variable gamma =
      epilogue.layer_scale == nullptr ? Variable() : epilogue.layer_scale->variable();
  const bool random = context.dropout && (epilogue.dropout > 0 || epilogue.drop_path > 0);
  if (!random && !records(context, {&x, &w, &b, &gamma, residual})) {
    const std::optional<kernels::RowNorm> norm = row_norm(input.norm(), x.size(-1));
    return forward(context.queue, x.value(), norm ? &*norm : nullptr, weight, bias, epilogue,
                   precision);
  }

  const bool bf16 = records_bf16(precision);
  const bool plain = !random && epilogue.layer_scale == nullptr &&
                     epilogue.activation == kernels::Activation::none;
  if (plain) return recorded_linear(context, x, weight, bias, residual, bf16);
  return apply_epilogue(context, recorded_linear(context, x, weight, bias, nullptr, bf16),
                        epilogue);
}

Variable apply_epilogue(const Context& context, Variable y, const LinearEpilogue& epilogue) {
  check(epilogue.residual == nullptr || epilogue.residual->shape() == y.shape(), "linear",
        "{}: a residual of {} does not fit an output of {}", epilogue.path,
        epilogue.residual == nullptr ? "" : epilogue.residual->shape().str(), y.shape().str());
  y = activation(context, y, epilogue.activation);
  const std::string path(epilogue.path);
  y = dropout(context, y, epilogue.dropout, path + ".dropout");
  if (epilogue.layer_scale != nullptr) y = layer_scale(context, y, *epilogue.layer_scale);
  y = drop_path(context, y, epilogue.drop_path, path + ".drop_path");
  return epilogue.residual == nullptr ? y : add(context, y, *epilogue.residual);
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
