#include "kernels/cpu/interpolation_taps.h"

#include <algorithm>
#include <cmath>

namespace vitrail::kernels {
namespace {

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

Taps taps_plain(const InterpolateArgs& args, int64_t in, int64_t out, float step) {
  Taps taps;
  for (int64_t i = 0; i < out; ++i) {
    const float at = static_cast<float>(i);
    float position = args.align_corners ? step * at : std::fma(step, at + 0.5f, -0.5f);
    if (args.mode == InterpolateMode::bilinear) position = std::max(position, 0.0f);
    const float floor = std::floor(position);
    const int64_t base = static_cast<int64_t>(floor);
    const float t = position - floor;
    const auto inside = [&](int64_t tap) { return std::clamp<int64_t>(tap, 0, in - 1); };
    if (args.mode == InterpolateMode::bicubic) {
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

// How far the coordinate advances with each output.
float interpolation_step(const InterpolateArgs& args, int64_t in, int64_t out, double scale) {
  if (args.align_corners)
    return out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1) : 0.0f;
  if (scale > 0) return static_cast<float>(1.0 / scale);
  return static_cast<float>(in) / static_cast<float>(out);
}

}  // namespace

Taps transposed_taps(const Taps& taps, int64_t in) {
  const int64_t count = static_cast<int64_t>(taps.index.size());
  Taps result;
  result.start.assign(static_cast<size_t>(in) + 1, 0);
  result.index.resize(taps.index.size());
  result.weight.resize(taps.weight.size());
  for (const int64_t index : taps.index) ++result.start[static_cast<size_t>(index) + 1];
  for (size_t i = 1; i < result.start.size(); ++i) result.start[i] += result.start[i - 1];
  std::vector<int64_t> next(result.start.begin(), result.start.end() - 1);
  int64_t output = 0;
  for (int64_t k = 0; k < count; ++k) {
    while (k >= taps.start[static_cast<size_t>(output) + 1]) ++output;
    const auto to = static_cast<size_t>(next[static_cast<size_t>(taps.index[k])]++);
    result.index[to] = output;
    result.weight[to] = taps.weight[k];
  }
  return result;
}

Taps interpolation_taps(const InterpolateArgs& args, int64_t in, int64_t out, double scale) {
  const float step = interpolation_step(args, in, out, scale);
  return args.antialias ? taps_antialiased(args.mode, in, out, step)
                        : taps_plain(args, in, out, step);
}

}  // namespace vitrail::kernels
