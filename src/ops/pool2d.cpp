#include "kernels/pool2d.h"
#include "autograd/timing.h"
#include "ops/convolution.h"
#include "ops/window.h"

namespace vitrail {
namespace {

using kernels::PoolGeometry;

PoolGeometry geometry_of(const char* place, const Variable& x, const WindowOptions& window) {
  check(x.shape().rank() == 4, place, "an input of {} must be [B, H, W, C]", x.shape().str());
  check_window(place, {x.size(0), x.size(3), x.size(1), x.size(2)}, window);
  check(2 * window.padding_height <= window.kernel_height &&
            2 * window.padding_width <= window.kernel_width,
        place, "padding {}x{} must be at most half of the kernel {}x{}", window.padding_height,
        window.padding_width, window.kernel_height, window.kernel_width);
  return {.batch = x.size(0),
          .channels = x.size(3),
          .height = x.size(1),
          .width = x.size(2),
          .kernel_height = window.kernel_height,
          .kernel_width = window.kernel_width,
          .stride_height = window.stride_height,
          .stride_width = window.stride_width,
          .padding_height = window.padding_height,
          .padding_width = window.padding_width};
}

Tensor empty_output(const PoolGeometry& g) {
  return Tensor::empty({g.batch, g.out_height(), g.out_width(), g.channels});
}

}  // namespace

Variable max_pool2d(const Context& context, const Variable& x, const WindowOptions& options) {
  const PoolGeometry geometry = geometry_of("max_pool2d", x, options);
  const Timed timed(context, {"max_pool2d"});
  const bool recorded = records(context, {&x});
  Tensor y = empty_output(geometry);
  Tensor winners;
  if (recorded) winners = Tensor::empty(y.shape(), DType::i32);
  kernels::max_pool2d(context.queue, geometry, x.value().f32(), y.f32(), winners.data<int32_t>());
  if (!recorded) return y;
  return context.tape->record(
      "max_pool2d", std::move(y), {x},
      [geometry, winners, shape = x.shape(), slot = x.slot()](Queue& queue, const Tensor& dy) {
        Tensor dx = Tensor::empty(shape);
        kernels::max_pool2d_backward(queue, geometry, winners.data<int32_t>(), dy.f32(), dx.f32());
        slot->accumulate(queue, std::move(dx));
      });
}

Variable average_pool2d(const Context& context, const Variable& x, const WindowOptions& options) {
  const PoolGeometry geometry = geometry_of("average_pool2d", x, options);
  Tensor y = empty_output(geometry);
  kernels::average_pool2d(context.queue, geometry, x.value().f32(), y.f32());
  if (!records(context, {&x})) return y;
  return context.tape->record(
      "average_pool2d", std::move(y), {x},
      [geometry, shape = x.shape(), slot = x.slot()](Queue& queue, const Tensor& dy) {
        Tensor dx = Tensor::empty(shape);
        kernels::average_pool2d_backward(queue, geometry, dy.f32(), dx.f32());
        slot->accumulate(queue, std::move(dx));
      });
}

}  // namespace vitrail
