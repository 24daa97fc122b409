// The weights of a resampling along one axis, as torch computes them in f32.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/interpolate.h"

namespace vitrail::kernels {

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

// A resampling of maps along both axes, one after the other: columns first; by the adjoint's taps,
// rows first, so that it takes the steps back in the other order.
struct MapResampling {
  Taps columns, rows;
  int64_t in_height = 0, in_width = 0;
  bool columns_first = true;
  int64_t out_height() const { return static_cast<int64_t>(rows.start.size()) - 1; }
  int64_t out_width() const { return static_cast<int64_t>(columns.start.size()) - 1; }
};

// Channels [begin, end) of one map [height, width, inner].
struct MapPart {
  int64_t inner, begin, end;
  const float* from;
  float* middle;  // of the part alone
  float* to;
};

// What the adjoint reads: tap (i, j) becomes (j, i), in the order of the outputs. `in` is how many
// inputs there were.
Taps transposed_taps(const Taps& taps, int64_t in);

// From `in` samples to `out`; `scale` as InterpolateArgs has it.
Taps interpolation_taps(const InterpolateArgs& args, int64_t in, int64_t out, double scale);

}  // namespace vitrail::kernels
