#include "ops/interpolate.h"

#include "autograd/timing.h"
#include "kernels/copy.h"

namespace vitrail {
namespace {

// [tokens, D] to [D, tokens], or back.
Tensor transposed(Queue& queue, const Tensor& x, int64_t rows, int64_t columns) {
  Tensor out = Tensor::empty({columns, rows});
  View source = x.reshape({rows, columns}).view();
  std::swap(source.shape[0], source.shape[1]);
  std::swap(source.strides[0], source.strides[1]);
  kernels::copy_strided(queue, out.view(), source);
  return out;
}

kernels::InterpolateArgs arguments(const GridResize& r, int64_t planes) {
  return {.mode = r.mode,
          .antialias = r.antialias,
          .planes = planes,
          .in_height = r.in_height,
          .in_width = r.in_width,
          .out_height = r.out_height,
          .out_width = r.out_width,
          .scale_height = r.scale_height,
          .scale_width = r.scale_width};
}

}  // namespace

Variable interpolate_tokens(const Context& context, const Variable& tokens,
                            const GridResize& resize) {
  const int64_t in = resize.in_height * resize.in_width;
  const int64_t out = resize.out_height * resize.out_width;
  check(tokens.shape().rank() == 3 && tokens.size(0) == 1 && tokens.size(1) == in, "interpolate",
        "{} is not a grid of {} by {} tokens", tokens.shape().str(), resize.in_height,
        resize.in_width);
  const Timed timed(context, {"interpolate"});
  const int64_t dim = tokens.size(2);
  const Tensor planes = transposed(context.queue, tokens.value(), in, dim);
  const Tensor resampled = Tensor::empty({dim, out});
  kernels::InterpolateArgs args = arguments(resize, dim);
  args.x = planes.f32();
  args.y = resampled.f32();
  kernels::interpolate(context.queue, args);
  Tensor result = transposed(context.queue, resampled, dim, out).reshape({1, out, dim});
  if (!records(context, {&tokens})) return result;
  return context.tape->record(
      "interpolate", std::move(result), {tokens},
      [slot = tokens.slot(), resize, in, out, dim](Queue& queue, const Tensor& gradient) {
        const Tensor dy = transposed(queue, gradient, out, dim);
        const Tensor dx = Tensor::empty({dim, in});
        kernels::interpolate_backward(
            queue, {.geometry = arguments(resize, dim), .dy = dy.f32(), .dx = dx.f32()});
        slot->accumulate(queue, transposed(queue, dx, dim, in).reshape({1, in, dim}));
      });
}

}  // namespace vitrail
