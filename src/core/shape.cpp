#include "core/shape.h"

#include <algorithm>

#include "core/error.h"

namespace vitrail {

Shape::Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  check(dims.size() <= kMaxRank, "shape", "rank {} is above {}", dims.size(), int{kMaxRank});
  for (int axis = 0; axis < rank_; ++axis) {
    check(dims[axis] >= 0, "shape", "size {} of axis {} is negative", dims[axis], axis);
    dims_[axis] = dims[axis];
  }
}

int64_t Shape::numel() const {
  int64_t count = 1;
  for (int64_t dim : *this)
    if (__builtin_mul_overflow(count, dim, &count))
      fail("shape", "{} has more elements than 63 bits count", str());
  return count;
}

std::string Shape::str() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(dims_[axis]);
  }
  return text + "]";
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

}  // namespace vitrail
