#include "kernels/pool2d.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "kernels/cpu/chunks.h"

namespace vitrail::kernels {
namespace {

// The pixels of window (oh, ow) that lie inside the picture.
struct Window {
  int64_t top, bottom, left, right;
  Window(const PoolGeometry& g, int64_t oh, int64_t ow) {
    const int64_t first_row = oh * g.stride_height - g.padding_height;
    const int64_t first_column = ow * g.stride_width - g.padding_width;
    top = std::max<int64_t>(0, first_row);
    bottom = std::min(g.height, first_row + g.kernel_height);
    left = std::max<int64_t>(0, first_column);
    right = std::min(g.width, first_column + g.kernel_width);
    assert(top < bottom && left < right);
  }
};

// A NaN wins over any number, and the first one over the others.
int64_t first_nan(const float* pixels, int64_t width, const Window& window) {
  for (int64_t h = window.top; h < window.bottom; ++h)
    for (int64_t w = window.left; w < window.right; ++w)
      if (std::isnan(pixels[h * width + w])) return h * width + w;
  return -1;
}

// body(plane, output index, window) for every output; a thread takes whole planes.
template <typename Body>
void for_each_window(Queue& queue, const PoolGeometry& g, const Body& body) {
  const int64_t out_height = g.out_height(), out_width = g.out_width();
  const int64_t work = out_height * out_width * g.kernel_height * g.kernel_width;
  queue.pool().parallel_ranges(g.planes, rows_per_chunk(work), [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane)
      for (int64_t oh = 0; oh < out_height; ++oh)
        for (int64_t ow = 0; ow < out_width; ++ow)
          body(plane, (plane * out_height + oh) * out_width + ow, Window(g, oh, ow));
  });
}

}  // namespace

void max_pool2d(Queue& queue, const PoolGeometry& geometry, const float* x, float* y,
                int32_t* argmax) {
  const PoolGeometry& g = geometry;
  for_each_window(queue, g, [&](int64_t plane, int64_t out, const Window& window) {
    const float* pixels = x + plane * g.height * g.width;
    int64_t winner = window.top * g.width + window.left;
    float highest = pixels[winner];
    bool nan = false;
    for (int64_t h = window.top; h < window.bottom; ++h)
      for (int64_t w = window.left; w < window.right; ++w) {
        const int64_t at = h * g.width + w;
        const float value = pixels[at];
        const bool higher = value > highest;
        highest = higher ? value : highest;
        winner = higher ? at : winner;
        nan |= std::isnan(value);
      }
    if (nan) winner = first_nan(pixels, g.width, window);
    y[out] = pixels[winner];
    if (argmax != nullptr) argmax[out] = static_cast<int32_t>(winner);
  });
}

void max_pool2d_backward(Queue& queue, const PoolGeometry& geometry, const int32_t* argmax,
                         const float* dy, float* dx) {
  const PoolGeometry& g = geometry;
  const int64_t outputs = g.out_height() * g.out_width(), pixels = g.height * g.width;
  queue.pool().parallel_ranges(g.planes, rows_per_chunk(pixels), [&](int64_t begin, int64_t end) {
    std::fill(dx + begin * pixels, dx + end * pixels, 0.0f);
    for (int64_t plane = begin; plane < end; ++plane)
      for (int64_t out = plane * outputs; out < (plane + 1) * outputs; ++out)
        dx[plane * pixels + argmax[out]] += dy[out];
  });
}

void average_pool2d(Queue& queue, const PoolGeometry& geometry, const float* x, float* y) {
  const PoolGeometry& g = geometry;
  const float weight = 1.0f / static_cast<float>(g.kernel_height * g.kernel_width);
  for_each_window(queue, g, [&](int64_t plane, int64_t out, const Window& window) {
    const float* pixels = x + plane * g.height * g.width;
    float sum = 0;
    for (int64_t h = window.top; h < window.bottom; ++h)
      for (int64_t w = window.left; w < window.right; ++w) sum += pixels[h * g.width + w];
    y[out] = sum * weight;
  });
}

void average_pool2d_backward(Queue& queue, const PoolGeometry& geometry, const float* dy,
                             float* dx) {
  const PoolGeometry& g = geometry;
  const float weight = 1.0f / static_cast<float>(g.kernel_height * g.kernel_width);
  std::fill_n(dx, g.planes * g.height * g.width, 0.0f);
  for_each_window(queue, g, [&](int64_t plane, int64_t out, const Window& window) {
    float* pixels = dx + plane * g.height * g.width;
    for (int64_t h = window.top; h < window.bottom; ++h)
      for (int64_t w = window.left; w < window.right; ++w)
        pixels[h * g.width + w] += dy[out] * weight;
  });
}

}  // namespace vitrail::kernels
