#include "ops/interpolate.h"

#include "autograd/timing.h"
#include "ops/tokens.h"

namespace vitrail {

Variable interpolate(const Context& context, const Variable& x, MapOrder order,
                     const MapResize& resize) {
  check(x.shape().rank() == 4, "interpolate", "{} is no map of four axes", x.shape().str());
  const bool last = order == MapOrder::channels_last;
  kernels::InterpolateArgs args{.mode = resize.mode,
                                .antialias = resize.antialias,
                                .planes = last ? x.size(0) : x.size(0) * x.size(1),
                                .inner = last ? x.size(3) : 1,
                                .in_height = x.size(last ? 1 : 2),
                                .in_width = x.size(last ? 2 : 3),
                                .out_height = resize.out_height,
                                .out_width = resize.out_width,
                                .scale_height = resize.scale_height,
                                .scale_width = resize.scale_width,
                                .align_corners = resize.align_corners};
  check(args.in_height > 0 && args.in_width > 0 && args.out_height > 0 && args.out_width > 0,
        "interpolate", "a map of {}x{} cannot become one of {}x{}: each side needs a pixel",
        args.in_height, args.in_width, args.out_height, args.out_width);
  const Timed timed(context, {"interpolate"});
  Shape shape = x.shape();
  shape[last ? 1 : 2] = args.out_height;
  shape[last ? 2 : 3] = args.out_width;
  Tensor y = Tensor::empty(shape);
  args.x = x.value().f32();
  args.y = y.f32();
  kernels::interpolate(context.queue, args);
  if (!records(context, {&x})) return y;
  return context.tape->record(
      "interpolate", std::move(y), {x},
      [args, from = x.shape(), slot = x.slot()](Queue& queue, const Tensor& dy) {
        Tensor dx = Tensor::empty(from);
        kernels::interpolate_backward(queue, {.geometry = args, .dy = dy.f32(), .dx = dx.f32()});
        slot->accumulate(queue, std::move(dx));
      });
}

Variable interpolate_tokens(const Context& context, const Variable& tokens,
                            const GridResize& resize) {
  const int64_t in = resize.in_height * resize.in_width;
  check(tokens.shape().rank() == 3 && tokens.size(1) == in, "interpolate",
        "{} is not a grid of {} by {} tokens", tokens.shape().str(), resize.in_height,
        resize.in_width);
  const int64_t batch = tokens.size(0), dim = tokens.size(2);
  const Variable grid = reshape(context, tokens, {batch, resize.in_height, resize.in_width, dim});
  const Variable resized = interpolate(context, grid, MapOrder::channels_last,
                                       {.mode = resize.mode,
                                        .antialias = resize.antialias,
                                        .scale_height = resize.scale_height,
                                        .scale_width = resize.scale_width,
                                        .out_height = resize.out_height,
                                        .out_width = resize.out_width});
  return reshape(context, resized, {batch, resize.out_height * resize.out_width, dim});
}

}  // namespace vitrail
