#include "ops/convolution.h"

#include <optional>

#include "autograd/timing.h"
#include "kernels/convolution.h"
#include "kernels/copy.h"
#include "kernels/reduce.h"
#include "ops/filter.h"
#include "ops/recorded_linear.h"
#include "ops/window.h"

namespace vitrail {
namespace {

using kernels::UnfoldGeometry;

UnfoldGeometry geometry_of(const Variable& x, const WindowOptions& window) {
  check(x.shape().rank() == 4, "convolution", "an input of {} must be [B, H, W, C]",
        x.shape().str());
  return patches_of("convolution", {x.size(0), x.size(3), x.size(1), x.size(2)}, window);
}

// Whether what follows can ride on the product: nothing is recorded or drawn.
bool fuses(const Context& context, const Variable& x, const Variable& weight, const Variable& bias,
           const LinearEpilogue& epilogue) {
  if (context.dropout && (epilogue.dropout > 0 || epilogue.drop_path > 0)) return false;
  const Variable scale =
      epilogue.layer_scale == nullptr ? Variable() : epilogue.layer_scale->variable();
  return !records(context, {&x, &weight, &bias, &scale, epilogue.residual});
}

kernels::Epilogue kernel_epilogue(const Parameter* bias, const LinearEpilogue& epilogue,
                                  const Tensor& y) {
  kernels::Epilogue out{.activation = epilogue.activation};
  if (bias != nullptr) out.bias = bias->value().f32();
  if (epilogue.layer_scale != nullptr) out.column_scale = epilogue.layer_scale->value().f32();
  if (epilogue.residual == nullptr) return out;
  check(epilogue.residual->shape() == y.shape(), "convolution",
        "a residual of {} does not fit an output of {}", epilogue.residual->shape().str(),
        y.shape().str());
  out.residual = epilogue.residual->value().f32();
  out.residual_stride = y.size(-1);
  return out;
}

}  // namespace

Variable convolution(const Context& context, const Variable& x, const Parameter& weight,
                     const Parameter* bias, const WindowOptions& options,
                     const LinearEpilogue& epilogue) {
  const UnfoldGeometry geometry = geometry_of(x, options);
  const int64_t outputs = weight.shape().rank() == 4 ? weight.shape()[0] : 0;
  check(outputs > 0 && weight.shape() == Shape{outputs, geometry.channels, options.kernel_height,
                                               options.kernel_width},
        "convolution", "{} of {} does not fit {} channels and a kernel of {}x{}", weight.path(),
        weight.shape().str(), geometry.channels, options.kernel_height, options.kernel_width);
  check(bias == nullptr || bias->shape() == Shape{outputs}, "convolution",
        "{} must have one value for each of {} outputs", bias == nullptr ? "" : bias->path(),
        outputs);
  const Variable w = weight.variable();
  const Variable b = bias == nullptr ? Variable() : bias->variable();
  const bool follows = epilogue.activation != kernels::Activation::none ||
                       epilogue.layer_scale != nullptr || epilogue.residual != nullptr ||
                       epilogue.dropout > 0 || epilogue.drop_path > 0;
  if (follows && !fuses(context, x, w, b, epilogue)) {
    LinearEpilogue behind = epilogue;
    behind.destination = nullptr;
    return apply_epilogue(context, convolution(context, x, weight, bias, options), behind);
  }
  const bool recorded = records(context, {&x, &w, &b});
  const Precision wanted =
      context.precision == nullptr ? Precision::f32 : context.precision->of(weight.path());
  const bool bf16 = recorded ? records_bf16(wanted) : wanted != Precision::f32;
  const Timed timed(context,
                    {"convolution", weight.path(), geometry.rows() * geometry.columns() * outputs,
                     bf16 ? Precision::bf16 : Precision::f32});
  Queue& queue = context.queue;
  Tensor y = Tensor::empty({geometry.batch, geometry.out_height(), geometry.out_width(), outputs});
  using Reads = PackedFilter::Reads;
  kernels::convolution(queue, geometry, x.value().f32(),
                       PackedFilter(queue, weight, Reads::patches, bf16).get(),
                       kernel_epilogue(bias, epilogue, y), y.f32());
  if (!recorded) return y;
  std::optional<PackedFilter> backward;
  if (x.needs_gradient()) backward.emplace(queue, weight, Reads::outputs, bf16);
  return context.tape->record(
      "convolution", std::move(y), {x, w, b},
      [geometry, outputs, bf16, backward, weight_shape = weight.shape(), x_slot = x.slot(),
       w_slot = w.slot(), b_slot = b.slot(), x_saved = SavedTensor(x.value()),
       w_saved = SavedTensor(w.value())](Queue& on, const Tensor& dy) {
        (void)w_saved.get();  // throws if the weight was changed since it was packed
        if (w_slot) {
          const Tensor dw = Tensor::empty({outputs, geometry.columns()});
          Tensor db;
          if (b_slot) db = Tensor::empty({outputs});
          kernels::convolution_weight_gradient(on, {.geometry = geometry,
                                                    .outputs = outputs,
                                                    .x = x_saved.get().f32(),
                                                    .dy = dy.f32(),
                                                    .dw = dw.f32(),
                                                    .db = db.f32(),
                                                    .bf16 = bf16});
          const View to = channels_last(w_slot->accumulator(weight_shape));
          kernels::add_strided(on, to, dw.reshape(to.shape).view());
          if (b_slot) b_slot->accumulate(on, std::move(db));
        } else if (b_slot) {
          kernels::sum_rows(on, {.rows = geometry.rows(),
                                 .dim = outputs,
                                 .x = dy.f32(),
                                 .x_stride = outputs,
                                 .out = b_slot->accumulator({outputs}).f32()});
        }
        if (!x_slot) return;
        Tensor dx = Tensor::empty(x_saved.get().shape());
        kernels::convolution_input_gradient(on, geometry, dy.f32(), backward->get(), dx.f32());
        x_slot->accumulate(on, std::move(dx));
      });
}

}  // namespace vitrail
