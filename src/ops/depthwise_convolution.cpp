#include "kernels/depthwise_convolution.h"

#include "autograd/timing.h"
#include "kernels/copy.h"
#include "ops/convolution.h"
#include "ops/window.h"

namespace vitrail {
namespace {

using kernels::DepthwiseGeometry;

constexpr const char* kDepthwise = "depthwise_convolution";

DepthwiseGeometry depthwise_geometry(const Shape& x, const DepthwiseOptions& options) {
  const WindowOptions& window = options.window;
  check(x.rank() == 4, kDepthwise, "an input of {} must be [B, H, W, C]", x.str());
  check_sizes(kDepthwise, window);
  check(options.dilation_height > 0 && options.dilation_width > 0, kDepthwise,
        "dilation {}x{} must be positive", options.dilation_height, options.dilation_width);
  const DepthwiseGeometry geometry{.batch = x[0],
                                   .channels = x[3],
                                   .height = x[1],
                                   .width = x[2],
                                   .kernel_height = window.kernel_height,
                                   .kernel_width = window.kernel_width,
                                   .stride_height = window.stride_height,
                                   .stride_width = window.stride_width,
                                   .padding_height = window.padding_height,
                                   .padding_width = window.padding_width,
                                   .dilation_height = options.dilation_height,
                                   .dilation_width = options.dilation_width};
  const int64_t tall = geometry.dilation_height * (geometry.kernel_height - 1) + 1;
  const int64_t wide = geometry.dilation_width * (geometry.kernel_width - 1) + 1;
  check(x[1] + 2 * window.padding_height >= tall && x[2] + 2 * window.padding_width >= wide,
        kDepthwise, "a picture of {}x{} is smaller than the kernel, which spans {}x{}", x[1], x[2],
        tall, wide);
  return geometry;
}

// A weight [C, 1, kh, kw] as the kernel has it, [kh * kw, C], seen through its strides.
View by_taps(const Tensor& weight) {
  const int64_t channels = weight.size(0), taps = weight.size(2) * weight.size(3);
  View view = weight.reshape({channels, taps}).view();
  std::swap(view.shape[0], view.shape[1]);
  std::swap(view.strides[0], view.strides[1]);
  return view;
}

std::shared_ptr<const Tensor> weight_by_taps(Queue& queue, const Parameter& weight) {
  return weight.derived<Tensor>("depthwise", [&queue](const Tensor& value) {
    const View view = by_taps(value);
    Tensor ordered = Tensor::empty(view.shape);
    kernels::copy_strided(queue, ordered.view(), view);
    return ordered;
  });
}

}  // namespace

Variable depthwise_convolution(const Context& context, const Variable& x, const Parameter& weight,
                               const Parameter* bias, const DepthwiseOptions& options) {
  const DepthwiseGeometry geometry = depthwise_geometry(x.shape(), options);
  const int64_t channels = geometry.channels;
  check(weight.shape() == Shape{channels, 1, geometry.kernel_height, geometry.kernel_width},
        kDepthwise, "{} of {} does not fit {} channels and a kernel of {}x{}", weight.path(),
        weight.shape().str(), channels, geometry.kernel_height, geometry.kernel_width);
  check(bias == nullptr || bias->shape() == Shape{channels}, kDepthwise,
        "{} must have one value for each of {} channels", bias == nullptr ? "" : bias->path(),
        channels);
  const Variable w = weight.variable();
  const Variable b = bias == nullptr ? Variable() : bias->variable();
  Tensor y = Tensor::empty({geometry.batch, geometry.out_height(), geometry.out_width(), channels});
  const Timed timed(context,
                    {kDepthwise, weight.path(), y.numel() * geometry.taps(), Precision::f32});
  const std::shared_ptr<const Tensor> taps = weight_by_taps(context.queue, weight);
  kernels::depthwise_convolution(context.queue,
                                 {.geometry = geometry,
                                  .x = x.value().f32(),
                                  .weight = taps->f32(),
                                  .bias = bias == nullptr ? nullptr : bias->value().f32(),
                                  .y = y.f32()});
  if (!records(context, {&x, &w, &b})) return y;
  SavedTensor x_saved;  // the weight's gradient alone needs it
  if (w.needs_gradient()) x_saved = SavedTensor(x.value());
  return context.tape->record(
      kDepthwise, std::move(y), {x, w, b},
      [geometry, taps, x_saved, x_shape = x.shape(), w_shape = weight.shape(), x_slot = x.slot(),
       w_slot = w.slot(), b_slot = b.slot(),
       w_saved = SavedTensor(w.value())](Queue& queue, const Tensor& dy) {
        (void)w_saved.get();  // throws if the weight was changed since it was put in order
        Tensor dweight, dbias;
        if (w_slot) dweight = Tensor::empty({geometry.taps(), geometry.channels});
        if (b_slot) dbias = Tensor::empty({geometry.channels});
        if (w_slot || b_slot)
          kernels::depthwise_weight_gradient(
              queue, {.geometry = geometry,
                      .x = x_saved.defined() ? x_saved.get().f32() : nullptr,
                      .dy = dy.f32(),
                      .dweight = dweight.f32(),
                      .dbias = dbias.f32()});
        if (w_slot)
          kernels::add_strided(queue, by_taps(w_slot->accumulator(w_shape)), dweight.view());
        if (b_slot) b_slot->accumulate(queue, std::move(dbias));
        if (!x_slot) return;
        Tensor dx = Tensor::empty(x_shape);
        kernels::depthwise_input_gradient(
            queue, {.geometry = geometry, .dy = dy.f32(), .weight = taps->f32(), .dx = dx.f32()});
        x_slot->accumulate(queue, std::move(dx));
      });
}

}  // namespace vitrail
