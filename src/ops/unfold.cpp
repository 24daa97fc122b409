#include "kernels/unfold.h"

#include "autograd/timing.h"
#include "ops/convolution.h"
#include "ops/window.h"

namespace vitrail {
namespace {

using kernels::UnfoldGeometry;

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

}  // namespace

Variable unfold(const Context& context, const Variable& x, const WindowOptions& options,
                bool channels_last) {
  UnfoldGeometry geometry = patches_of("unfold", x.shape(), options);
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
