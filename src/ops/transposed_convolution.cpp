#include <optional>

#include "autograd/timing.h"
#include "kernels/convolution.h"
#include "kernels/copy.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"
#include "ops/convolution.h"
#include "ops/filter.h"
#include "ops/recorded_linear.h"
#include "ops/window.h"

namespace vitrail {
namespace {

using kernels::UnfoldGeometry;

constexpr const char* kTransposed = "transposed_convolution";

// The convolution whose adjoint is asked for: it reads y [B, OH, OW, O] and writes x [B, H, W, C].
UnfoldGeometry adjoint_geometry(const Shape& x, int64_t outputs, const TransposedOptions& options) {
  const WindowOptions& w = options.window;
  check(x.rank() == 4, kTransposed, "an input of {} must be [B, H, W, C]", x.str());
  check_sizes(kTransposed, w);
  check(options.extra_height >= 0 && options.extra_height < w.stride_height &&
            options.extra_width >= 0 && options.extra_width < w.stride_width,
        kTransposed, "{}x{} extra pixels must be fewer than the stride of {}x{}",
        options.extra_height, options.extra_width, w.stride_height, w.stride_width);
  const UnfoldGeometry geometry{.batch = x[0],
                                .channels = outputs,
                                .height = (x[1] - 1) * w.stride_height - 2 * w.padding_height +
                                          w.kernel_height + options.extra_height,
                                .width = (x[2] - 1) * w.stride_width - 2 * w.padding_width +
                                         w.kernel_width + options.extra_width,
                                .kernel_height = w.kernel_height,
                                .kernel_width = w.kernel_width,
                                .stride_height = w.stride_height,
                                .stride_width = w.stride_width,
                                .padding_height = w.padding_height,
                                .padding_width = w.padding_width};
  check(x[1] > 0 && x[2] > 0 && geometry.height > 0 && geometry.width > 0, kTransposed,
        "nothing is left of a picture of {}x{} with a kernel of {}x{} and padding {}x{}", x[1],
        x[2], w.kernel_height, w.kernel_width, w.padding_height, w.padding_width);
  return geometry;
}

void add_bias(Queue& queue, const Tensor& y, const Tensor& bias) {
  kernels::arithmetic(queue, {.operation = kernels::Arithmetic::add,
                              .a = y.view(),
                              .b = kernels::broadcast_to(bias.view(), y.shape()),
                              .out = y.view()});
}

}  // namespace

Variable transposed_convolution(const Context& context, const Variable& x, const Parameter& weight,
                                const Parameter* bias, const TransposedOptions& options) {
  const WindowOptions& window = options.window;
  const int64_t outputs = weight.shape().rank() == 4 ? weight.shape()[1] : 0;
  const UnfoldGeometry geometry = adjoint_geometry(x.shape(), outputs, options);
  const int64_t channels = x.size(3);
  check(outputs > 0 &&
            weight.shape() == Shape{channels, outputs, window.kernel_height, window.kernel_width},
        kTransposed, "{} of {} does not fit {} channels and a kernel of {}x{}", weight.path(),
        weight.shape().str(), channels, window.kernel_height, window.kernel_width);
  check(bias == nullptr || bias->shape() == Shape{outputs}, kTransposed,
        "{} must have one value for each of {} outputs", bias == nullptr ? "" : bias->path(),
        outputs);
  const Variable w = weight.variable();
  const Variable b = bias == nullptr ? Variable() : bias->variable();
  const bool recorded = records(context, {&x, &w, &b});
  const Precision wanted =
      context.precision == nullptr ? Precision::f32 : context.precision->of(weight.path());
  const bool bf16 = recorded ? records_bf16(wanted) : wanted != Precision::f32;
  const Timed timed(context,
                    {kTransposed, weight.path(), geometry.rows() * geometry.columns() * channels,
                     bf16 ? Precision::bf16 : Precision::f32});
  Queue& queue = context.queue;
  using Reads = PackedFilter::Reads;
  Tensor y = Tensor::empty({geometry.batch, geometry.height, geometry.width, outputs});
  kernels::convolution_input_gradient(queue, geometry, x.value().f32(),
                                      PackedFilter(queue, weight, Reads::outputs, bf16).get(),
                                      y.f32());
  if (bias != nullptr) add_bias(queue, y, bias->value());
  if (!recorded) return y;
  std::optional<PackedFilter> backward;
  if (x.needs_gradient()) backward.emplace(queue, weight, Reads::patches, bf16);
  return context.tape->record(
      kTransposed, std::move(y), {x, w, b},
      [geometry, channels, bf16, backward, weight_shape = weight.shape(), x_slot = x.slot(),
       w_slot = w.slot(), b_slot = b.slot(), x_saved = SavedTensor(x.value()),
       w_saved = SavedTensor(w.value())](Queue& on, const Tensor& dy) {
        (void)w_saved.get();  // throws if the weight was changed since it was packed
        if (w_slot) {
          const Tensor dw = Tensor::empty({channels, geometry.columns()});
          kernels::convolution_weight_gradient(on, {.geometry = geometry,
                                                    .outputs = channels,
                                                    .x = dy.f32(),
                                                    .dy = x_saved.get().f32(),
                                                    .dw = dw.f32(),
                                                    .bf16 = bf16});
          const View to = channels_last(w_slot->accumulator(weight_shape));
          kernels::add_strided(on, to, dw.reshape(to.shape).view());
        }
        if (b_slot)
          kernels::sum_rows(on, {.rows = dy.numel() / geometry.channels,
                                 .dim = geometry.channels,
                                 .x = dy.f32(),
                                 .x_stride = geometry.channels,
                                 .out = b_slot->accumulator({geometry.channels}).f32()});
        if (!x_slot) return;
        Tensor dx = Tensor::empty(x_saved.get().shape());
        kernels::convolution(on, geometry, dy.f32(), backward->get(), {}, dx.f32());
        x_slot->accumulate(on, std::move(dx));
      });
}

}  // namespace vitrail
