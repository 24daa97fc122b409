#include "models/families/transposed.h"

#include <cstring>

namespace vitrail {

Tensor transposed(const Tensor& x) {
  const int64_t rows = x.size(0), columns = x.size(1);
  Tensor turned = Tensor::empty({columns, rows}, x.dtype());
  const size_t width = size_of(x.dtype());
  const auto* from = static_cast<const std::byte*>(x.raw());
  auto* to = static_cast<std::byte*>(turned.raw());
  for (int64_t column = 0; column < columns; ++column)
    for (int64_t row = 0; row < rows; ++row, to += width)
      std::memcpy(to, from + static_cast<size_t>(row * columns + column) * width, width);
  return turned;
}

}  // namespace vitrail
