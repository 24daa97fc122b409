#include <vector>

#include "core/error.h"
#include "image/resize.h"
#include "image/resize_weights.h"

namespace vitrail {

void resize_float(const Plane& source, int width, int height, Filter filter, float* out) {
  check(filter == Filter::bilinear || filter == Filter::bicubic, "resize",
        "filter {} on floats, expected bilinear or bicubic", name_of(filter));
  check(source.width > 0 && source.height > 0 && width > 0 && height > 0, "resize",
        "floats of {}x{} to {}x{}, expected at least 1x1", source.width, source.height, width,
        height);
  const auto across = filter_weights<float>(whole_axis(source.width, width), filter);
  const auto down = filter_weights<float>(whole_axis(source.height, height), filter);

  std::vector<float> between(static_cast<size_t>(source.height) * width);
  for (int y = 0; y < source.height; ++y) {
    const float* from = source.values + static_cast<size_t>(y) * source.width;
    float* to = between.data() + static_cast<size_t>(y) * width;
    for (int x = 0; x < width; ++x) {
      const Window window = across.windows[static_cast<size_t>(x)];
      const float* k = across.values.data() + static_cast<size_t>(x) * across.stride;
      float sum = 0;
      for (int i = 0; i < window.count; ++i) sum += from[window.begin + i] * k[i];
      to[x] = sum;
    }
  }
  for (int y = 0; y < height; ++y) {
    const Window window = down.windows[static_cast<size_t>(y)];
    const float* k = down.values.data() + static_cast<size_t>(y) * down.stride;
    float* to = out + static_cast<size_t>(y) * width;
    std::fill_n(to, width, 0.0f);
    for (int i = 0; i < window.count; ++i) {
      const float* from = between.data() + static_cast<size_t>(window.begin + i) * width;
      for (int x = 0; x < width; ++x) to[x] += from[x] * k[i];
    }
  }
}

}  // namespace vitrail
