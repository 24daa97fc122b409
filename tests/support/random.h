// Reproducible random numbers for tests.
#pragma once

#include <cstdint>
#include <vector>

#include "core/rng.h"
#include "core/tensor.h"

namespace vitrail::testing {

inline std::vector<float> random_floats(int64_t count, uint64_t seed, double low = -1,
                                        double high = 1) {
  Rng rng(seed, 0);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(rng.uniform(low, high));
  return values;
}

inline Tensor random_tensor(const Shape& shape, uint64_t seed, double low = -1, double high = 1) {
  return Tensor::from(random_floats(shape.numel(), seed, low, high), shape);
}

}  // namespace vitrail::testing
