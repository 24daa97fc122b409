// A matrix row by row.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor.h"

namespace vitrail {

// Row i of a matrix of floats [rows, columns], whose memory it shares.
inline std::span<const float> row_of(const Tensor& matrix, int64_t i) {
  const int64_t columns = matrix.size(1);
  return {matrix.f32() + i * columns, static_cast<size_t>(columns)};
}

}  // namespace vitrail
