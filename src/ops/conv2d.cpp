#include "ops/conv2d.h"

#include <array>

#include "autograd/timing.h"
#include "kernels/copy.h"
#include "kernels/gemm.h"
#include "kernels/isa.h"
#include "kernels/reduce.h"
#include "kernels/unfold.h"
#include "ops/window.h"

namespace vitrail {
namespace {

using kernels::Matrix;
using kernels::UnfoldGeometry;

UnfoldGeometry geometry_of(const char* place, const Variable& x, const WindowOptions& window) {
  check_window(place, x.shape(), window);
  return {.batch = x.size(0),
          .channels = x.size(1),
          .height = x.size(2),
          .width = x.size(3),
          .kernel_height = window.kernel_height,
          .kernel_width = window.kernel_width,
          .stride_height = window.stride_height,
          .stride_width = window.stride_width,
          .padding_height = window.padding_height,
          .padding_width = window.padding_width};
}

Tensor columns_of(Queue& queue, const UnfoldGeometry& geometry, const Tensor& x) {
  Tensor columns = Tensor::empty({geometry.rows(), geometry.columns()});
  kernels::unfold(queue, geometry, x.f32(), columns.f32());
  return columns;
}

Tensor folded(Queue& queue, const UnfoldGeometry& geometry, const Tensor& columns) {
  Tensor image =
      Tensor::empty({geometry.batch, geometry.channels, geometry.height, geometry.width});
  kernels::fold(queue, geometry, columns.f32(), image.f32());
  return image;
}

// Axes 1 and 2 exchanged: pixels [B, P, O] to planes [B, O, P], and back.
Tensor exchanged(Queue& queue, const Tensor& tensor, const Shape& shape) {
  Tensor copy = Tensor::empty(shape);
  View from = tensor.view();
  std::swap(from.shape[1], from.shape[2]);
  std::swap(from.strides[1], from.strides[2]);
  kernels::copy_strided(queue, copy.reshape(from.shape).view(), from);
  return copy;
}

Tensor workspace_for(const Matrix& a, const Matrix& b) {
  return Tensor::empty({kernels::gemm_workspace(a, b)}, DType::u8);
}

Tensor forward(Queue& queue, const UnfoldGeometry& geometry, const Tensor& x,
               const Parameter& weight, const Parameter* bias) {
  const int64_t outputs = weight.shape()[0], inputs = geometry.columns();
  const Tensor columns = columns_of(queue, geometry, x);
  const auto packed = weight.derived<kernels::PackedMatrix>(
      "packed." + kernels::active_isa(), [&](const Tensor& value) {
        return kernels::pack(queue, Matrix::row_major(value.f32(), outputs, inputs).transposed());
      });
  const int64_t pixels = geometry.out_height() * geometry.out_width();
  const Tensor rows = Tensor::empty({geometry.batch, pixels, outputs});
  kernels::GemmOutput output{.data = rows.f32(), .row_stride = outputs};
  output.epilogue.bias = bias == nullptr ? nullptr : bias->value().f32();
  kernels::gemm(queue, Matrix::row_major(columns.f32(), geometry.rows(), inputs), *packed, output);
  return exchanged(queue, rows,
                   {geometry.batch, outputs, geometry.out_height(), geometry.out_width()});
}

}  // namespace

Variable conv2d(const Context& context, const Variable& x, const Parameter& weight,
                const Parameter* bias, const WindowOptions& options) {
  const UnfoldGeometry geometry = geometry_of("conv2d", x, options);
  const int64_t outputs = weight.shape().rank() == 4 ? weight.shape()[0] : 0;
  check(weight.shape() == Shape{outputs, x.size(1), options.kernel_height, options.kernel_width},
        "conv2d", "{} of {} does not fit {} channels and a kernel of {}x{}", weight.path(),
        weight.shape().str(), x.size(1), options.kernel_height, options.kernel_width);
  check(bias == nullptr || bias->shape() == Shape{outputs}, "conv2d",
        "{} must have one value for each of {} outputs", bias == nullptr ? "" : bias->path(),
        outputs);
  const Timed timed(context, {"conv2d", weight.path(),
                              geometry.rows() * geometry.columns() * outputs, Precision::f32});
  Tensor y = forward(context.queue, geometry, x.value(), weight, bias);
  const Variable w = weight.variable();
  const Variable b = bias == nullptr ? Variable() : bias->variable();
  if (!records(context, {&x, &w, &b})) return y;
  // The columns are unfolded again in the backward pass: they are kernel-size times the picture.
  return context.tape->record(
      "conv2d", std::move(y), {x, w, b},
      [geometry, outputs, weight_shape = weight.shape(), x_slot = x.slot(), w_slot = w.slot(),
       b_slot = b.slot(), x_saved = SavedTensor(x.value()),
       w_saved = SavedTensor(w.value())](Queue& queue, const Tensor& dy) {
        const int64_t inputs = geometry.columns(), rows = geometry.rows();
        const int64_t pixels = geometry.out_height() * geometry.out_width();
        const Tensor by_pixel =
            exchanged(queue, dy.reshape({geometry.batch, outputs, pixels}), {rows, outputs});
        const Matrix gradient = Matrix::row_major(by_pixel.f32(), rows, outputs);
        if (x_slot) {
          const Tensor columns = Tensor::empty({rows, inputs});
          const Matrix matrix = Matrix::row_major(w_saved.get().f32(), outputs, inputs);
          kernels::gemm(queue, gradient, matrix, {.data = columns.f32(), .row_stride = inputs},
                        workspace_for(gradient, matrix).raw());
          x_slot->accumulate(queue, folded(queue, geometry, columns));
        }
        if (w_slot) {
          const Tensor columns = columns_of(queue, geometry, x_saved.get());
          const Matrix matrix = Matrix::row_major(columns.f32(), rows, inputs);
          const Tensor dw = w_slot->accumulator(weight_shape);
          kernels::gemm(queue, gradient.transposed(), matrix,
                        {.data = dw.f32(), .row_stride = inputs, .accumulate = true},
                        workspace_for(gradient.transposed(), matrix).raw());
        }
        if (b_slot)
          kernels::sum_rows(queue, {.rows = rows,
                                    .dim = outputs,
                                    .x = by_pixel.f32(),
                                    .x_stride = outputs,
                                    .out = b_slot->accumulator({outputs}).f32()});
      });
}

Variable unfold(const Context& context, const Variable& x, const WindowOptions& options,
                bool channels_last) {
  UnfoldGeometry geometry = geometry_of("unfold", x, options);
  if (channels_last) geometry.order = kernels::PatchOrder::channel_last;
  const int64_t patches = geometry.out_height() * geometry.out_width();
  const Timed timed(context, {"unfold"});
  Tensor y = columns_of(context.queue, geometry, x.value())
                 .reshape({geometry.batch, patches, geometry.columns()});
  if (!records(context, {&x})) return y;
  return context.tape->record("unfold", std::move(y), {x},
                              [geometry, slot = x.slot()](Queue& queue, const Tensor& dy) {
                                slot->accumulate(queue, folded(queue, geometry, dy));
                              });
}

}  // namespace vitrail
