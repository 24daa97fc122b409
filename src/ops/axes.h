// What operations along an axis ask of it.
#pragma once

#include <cstdint>

#include "core/error.h"
#include "core/shape.h"

namespace vitrail {

// The axis counted from the front; a negative one counts from the end. Error: there is none.
inline int checked_axis(const char* place, const Shape& shape, int axis) {
  const int rank = shape.rank();
  check(axis >= -rank && axis < rank, place, "{} has no axis {}", shape.str(), axis);
  return axis < 0 ? axis + rank : axis;
}

// A tensor as [outer, axis, inner]: what lies around one of its axes.
struct AxisSplit {
  int64_t outer = 1, axis = 1, inner = 1;
};
inline AxisSplit split_at(const Shape& shape, int axis) {
  AxisSplit split{.axis = shape[axis]};
  for (int i = 0; i < axis; ++i) split.outer *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) split.inner *= shape[i];
  return split;
}

}  // namespace vitrail
