// The weights of antialiased resampling, shared by the 8-bit and the float path: for each output
// position, a window of source positions and a normalised weight for each.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "core/error.h"
#include "image/resize.h"

namespace vitrail {

// One direction: `in` source positions, of which [begin, end) becomes `out` positions. Pillow
// passes the box as floats, and its rounding is part of the result.
struct Axis {
  int in;
  int out;
  float begin;
  float end;
};

inline Axis whole_axis(int in, int out) {
  return {in, out, 0, static_cast<float>(in)};
}
inline bool is_resized(const Axis& axis) {
  return axis.out != axis.in || axis.begin != 0 || axis.end != static_cast<float>(axis.in);
}

struct Window {
  int begin;
  int count;
};

template <typename Real>
struct Weights {
  std::vector<Window> windows;
  std::vector<Real> values;  // [out, stride]; a window's first `count` are meant
  int stride = 0;
};

template <typename Real>
Real filter_support(Filter filter) {
  switch (filter) {
    case Filter::box:
      return Real(0.5);
    case Filter::bilinear:
    case Filter::hamming:
      return 1;
    case Filter::bicubic:
      return 2;
    case Filter::lanczos:
      return 3;
    case Filter::nearest:
      break;
  }
  fail("resize", "nearest has no weights");
}

template <typename Real>
Real filter_value(Filter filter, Real x) {
  constexpr Real pi = std::numbers::pi_v<Real>;
  const auto sinc = [](Real t) { return t == 0 ? Real(1) : std::sin(t * pi) / (t * pi); };
  const Real distance = std::abs(x);
  switch (filter) {
    case Filter::box:
      return x > Real(-0.5) && x <= Real(0.5) ? 1 : 0;
    case Filter::bilinear:
      return distance < 1 ? 1 - distance : 0;
    case Filter::hamming:
      if (distance == 0) return 1;
      if (distance >= 1) return 0;
      // Pillow writes these two as floats.
      return sinc(distance) * (Real(0.54f) + Real(0.46f) * std::cos(distance * pi));
    case Filter::bicubic: {  // Keys, "Cubic convolution interpolation", 1981
      constexpr Real a = Real(-0.5);
      if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1;
      if (distance < 2) return (((distance - 5) * distance + 8) * distance - 4) * a;
      return 0;
    }
    case Filter::lanczos:
      return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
    case Filter::nearest:
      break;
  }
  return 0;
}

// For the output positions [first, first + count).
template <typename Real>
Weights<Real> filter_weights(const Axis& axis, Filter filter, int first, int count) {
  const Real scale = static_cast<Real>(axis.end - axis.begin) / static_cast<Real>(axis.out);
  const Real stretch = std::max(scale, Real(1));  // shrinking widens the filter: no aliasing
  const Real support = filter_support<Real>(filter) * stretch;
  const Real inverse = Real(1) / stretch;
  Weights<Real> weights;
  weights.stride = static_cast<int>(std::ceil(support)) * 2 + 1;
  weights.windows.resize(static_cast<size_t>(count));
  weights.values.resize(static_cast<size_t>(count) * static_cast<size_t>(weights.stride));
  for (int position = 0; position < count; ++position) {
    const Real center = axis.begin + (static_cast<Real>(first + position) + Real(0.5)) * scale;
    const int begin = std::max(0, static_cast<int>(center - support + Real(0.5)));
    const int end = std::min(axis.in, static_cast<int>(center + support + Real(0.5)));
    Real* k = weights.values.data() + static_cast<size_t>(position) * weights.stride;
    Real total = 0;
    for (int i = begin; i < end; ++i) {
      const Real x = static_cast<Real>(i) - center + Real(0.5);
      total += k[i - begin] = filter_value(filter, x * inverse);
    }
    if (total != 0)
      for (int i = 0; i < end - begin; ++i) k[i] /= total;
    weights.windows[static_cast<size_t>(position)] = {begin, std::max(0, end - begin)};
  }
  return weights;
}

template <typename Real>
Weights<Real> filter_weights(const Axis& axis, Filter filter) {
  return filter_weights<Real>(axis, filter, 0, axis.out);
}

}  // namespace vitrail
