#include "kernels/interpolate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/chunks.h"

namespace vitrail::kernels {
namespace {

// Output i of one axis is the sum over taps [start[i], start[i + 1]) of weight * input[index].
struct Taps {
  std::vector<int64_t> start{0}, index;
  std::vector<float> weight;
  void add(int64_t at, float value) {
    index.push_back(at);
    weight.push_back(value);
  }
  void close() { start.push_back(static_cast<int64_t>(index.size())); }
};

// Keys' piecewise cubic (1981) at distance t, with the multiply-adds that torch's build fuses: its
// terms cancel, so that any other rounding differs by 1e-6.
float cubic(float t, float a) {
  t = std::abs(t);
  if (t <= 1) return std::fma(std::fma(a + 2, t, -(a + 3)) * t, t, 1.0f);
  if (t < 2) return std::fma(std::fma(std::fma(a, t, -5 * a), t, 8 * a), t, -4 * a);
  return 0;
}

float triangle(float t) {
  return std::max(0.0f, 1 - std::abs(t));
}

// Coordinates are f32, as torch computes them for f32 data: an exact half would otherwise fall on
// the other side.
Taps taps_antialiased(InterpolateMode mode, int64_t in, int64_t out, float step) {
  const float filter_support = mode == InterpolateMode::bicubic ? 2.0f : 1.0f;
  const float support = step >= 1 ? filter_support * step : filter_support;
  const float inverse = step >= 1 ? 1.0f / step : 1.0f;
  Taps taps;
  for (int64_t i = 0; i < out; ++i) {
    const float center = step * (static_cast<float>(i) + 0.5f);
    const int64_t first =
        std::clamp<int64_t>(static_cast<int64_t>(center - support + 0.5f), 0, in - 1);
    const int64_t last =
        std::clamp<int64_t>(static_cast<int64_t>(center + support + 0.5f), first + 1, in);
    const size_t row = taps.weight.size();
    float total = 0;
    for (int64_t j = first; j < last; ++j) {
      const float t = (static_cast<float>(j) - center + 0.5f) * inverse;
      taps.add(j, mode == InterpolateMode::bicubic ? cubic(t, -0.5f) : triangle(t));
      total += taps.weight.back();
    }
    if (total != 0)
      for (size_t j = row; j < taps.weight.size(); ++j) taps.weight[j] /= total;
    taps.close();
  }
  return taps;
}

Taps taps_plain(InterpolateMode mode, int64_t in, int64_t out, float step) {
  Taps taps;
  for (int64_t i = 0; i < out; ++i) {
    float position = std::fma(step, static_cast<float>(i) + 0.5f, -0.5f);
    if (mode == InterpolateMode::bilinear) position = std::max(position, 0.0f);
    const float floor = std::floor(position);
    const int64_t base = static_cast<int64_t>(floor);
    const float t = position - floor;
    const auto inside = [&](int64_t at) { return std::clamp<int64_t>(at, 0, in - 1); };
    if (mode == InterpolateMode::bicubic) {
      for (int64_t k = -1; k <= 2; ++k)
        taps.add(inside(base + k), cubic(t - static_cast<float>(k), -0.75f));
    } else {
      taps.add(inside(base), 1 - t);
      taps.add(inside(base + 1), t);
    }
    taps.close();
  }
  return taps;
}

Taps taps_for(const InterpolateArgs& args, int64_t in, int64_t out, double scale) {
  const float step = scale > 0 ? static_cast<float>(1.0 / scale)
                               : static_cast<float>(in) / static_cast<float>(out);
  return args.antialias ? taps_antialiased(args.mode, in, out, step)
                        : taps_plain(args.mode, in, out, step);
}

}  // namespace

void interpolate(Queue& queue, const InterpolateArgs& args) {
  const Taps columns = taps_for(args, args.in_width, args.out_width, args.scale_width);
  const Taps rows = taps_for(args, args.in_height, args.out_height, args.scale_height);
  const int64_t work = (args.in_height + args.out_height) * args.out_width;
  queue.pool().parallel_ranges(args.planes, rows_per_chunk(work), [&](int64_t begin, int64_t end) {
    std::vector<float> middle(static_cast<size_t>(args.in_height * args.out_width));
    for (int64_t plane = begin; plane < end; ++plane) {
      const float* x = args.x + plane * args.in_height * args.in_width;
      for (int64_t h = 0; h < args.in_height; ++h)
        for (int64_t w = 0; w < args.out_width; ++w) {
          float sum = 0;
          for (int64_t k = columns.start[w]; k < columns.start[w + 1]; ++k)
            sum += columns.weight[k] * x[h * args.in_width + columns.index[k]];
          middle[h * args.out_width + w] = sum;
        }
      float* y = args.y + plane * args.out_height * args.out_width;
      for (int64_t h = 0; h < args.out_height; ++h, y += args.out_width) {
        std::fill_n(y, args.out_width, 0.0f);
        for (int64_t k = rows.start[h]; k < rows.start[h + 1]; ++k) {
          const float* from = middle.data() + rows.index[k] * args.out_width;
          for (int64_t w = 0; w < args.out_width; ++w) y[w] += rows.weight[k] * from[w];
        }
      }
    }
  });
}

void interpolate_backward(Queue& queue, const InterpolateBackwardArgs& args) {
  const InterpolateArgs& g = args.geometry;
  const Taps columns = taps_for(g, g.in_width, g.out_width, g.scale_width);
  const Taps rows = taps_for(g, g.in_height, g.out_height, g.scale_height);
  const int64_t work = (g.in_height + g.out_height) * g.out_width;
  queue.pool().parallel_ranges(g.planes, rows_per_chunk(work), [&](int64_t begin, int64_t end) {
    std::vector<float> middle(static_cast<size_t>(g.in_height * g.out_width));
    for (int64_t plane = begin; plane < end; ++plane) {
      std::fill(middle.begin(), middle.end(), 0.0f);
      const float* dy = args.dy + plane * g.out_height * g.out_width;
      for (int64_t h = 0; h < g.out_height; ++h, dy += g.out_width)
        for (int64_t k = rows.start[h]; k < rows.start[h + 1]; ++k) {
          float* to = middle.data() + rows.index[k] * g.out_width;
          for (int64_t w = 0; w < g.out_width; ++w) to[w] += rows.weight[k] * dy[w];
        }
      float* dx = args.dx + plane * g.in_height * g.in_width;
      std::fill_n(dx, g.in_height * g.in_width, 0.0f);
      for (int64_t h = 0; h < g.in_height; ++h)
        for (int64_t w = 0; w < g.out_width; ++w)
          for (int64_t k = columns.start[w]; k < columns.start[w + 1]; ++k)
            dx[h * g.in_width + columns.index[k]] +=
                columns.weight[k] * middle[h * g.out_width + w];
    }
  });
}

}  // namespace vitrail::kernels
