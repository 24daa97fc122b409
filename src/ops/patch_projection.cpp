#include "ops/patch_projection.h"

#include <algorithm>

#include "autograd/timing.h"
#include "kernels/unfold.h"
#include "ops/window.h"

namespace vitrail {
namespace {

// Patches at a time: those of ViT/16 take 786 KB and stay in L2 until the product has read them.
constexpr int64_t kBlockRows = 256;

Tensor some_patches(const Context& context, const kernels::UnfoldGeometry& geometry,
                    const kernels::PatchLines& lines, const Variable& x) {
  const Timed timed(context, {"unfold"});
  Tensor patches =
      Tensor::empty({(lines.end - lines.begin) * geometry.out_width(), geometry.columns()});
  kernels::unfold_lines(context.queue, geometry, lines, x.value().f32(), patches.f32());
  return patches;
}

}  // namespace

Variable patch_projection(const Context& context, const Variable& x, const WindowOptions& window,
                          bool channels_last, const Parameter& weight, const Parameter* bias) {
  if (context.tape != nullptr)
    return linear(context, unfold(context, x, window, channels_last), weight, bias);
  kernels::UnfoldGeometry geometry = patches_of("unfold", x.shape(), window);
  if (channels_last) geometry.order = kernels::PatchOrder::channel_last;
  const int64_t width = geometry.out_width(), outputs = weight.shape()[0];
  Tensor tokens = Tensor::empty({geometry.batch, geometry.out_height() * width, outputs});
  const int64_t lines = geometry.batch * geometry.out_height();
  const int64_t step = std::max<int64_t>(1, kBlockRows / std::max<int64_t>(1, width));
  for (int64_t begin = 0; begin < lines; begin += step) {
    const int64_t end = std::min(lines, begin + step);
    const Variable patches = some_patches(context, geometry, {begin, end}, x);
    const Tensor part = tokens.reshape({geometry.rows(), outputs}).rows(begin * width, end * width);
    linear(context, patches, weight, bias, {.destination = &part});
  }
  return tokens;
}

}  // namespace vitrail
