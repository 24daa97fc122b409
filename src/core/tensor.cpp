#include "core/tensor.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace vitrail {
namespace {

size_t bytes_for(const Shape& shape, DType dtype) {
  int64_t bytes = 0;
  check(!__builtin_mul_overflow(shape.numel(), static_cast<int64_t>(size_of(dtype)), &bytes),
        "tensor", "{} of {} overflows", shape.str(), name_of(dtype));
  return static_cast<size_t>(bytes);
}

double element_as_double(const void* data, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::f32:
      return static_cast<const float*>(data)[i];
    case DType::f64:
      return static_cast<const double*>(data)[i];
    case DType::f16:
      return f16_to_f32(static_cast<const uint16_t*>(data)[i]);
    case DType::bf16:
      return bf16_to_f32(static_cast<const uint16_t*>(data)[i]);
    case DType::i64:
      return static_cast<double>(static_cast<const int64_t*>(data)[i]);
    case DType::i32:
      return static_cast<const int32_t*>(data)[i];
    case DType::i16:
      return static_cast<const int16_t*>(data)[i];
    case DType::i8:
      return static_cast<const int8_t*>(data)[i];
    case DType::u8:
    case DType::boolean:
      return static_cast<const uint8_t*>(data)[i];
  }
  return 0;
}

void store_double(void* data, DType dtype, int64_t i, double value) {
  switch (dtype) {
    case DType::f32:
      static_cast<float*>(data)[i] = static_cast<float>(value);
      break;
    case DType::f64:
      static_cast<double*>(data)[i] = value;
      break;
    case DType::f16:
      static_cast<uint16_t*>(data)[i] = f32_to_f16(static_cast<float>(value));
      break;
    case DType::bf16:
      static_cast<uint16_t*>(data)[i] = f32_to_bf16(static_cast<float>(value));
      break;
    case DType::i64:
      static_cast<int64_t*>(data)[i] = static_cast<int64_t>(value);
      break;
    case DType::i32:
      static_cast<int32_t*>(data)[i] = static_cast<int32_t>(value);
      break;
    case DType::i16:
      static_cast<int16_t*>(data)[i] = static_cast<int16_t>(value);
      break;
    case DType::i8:
      static_cast<int8_t*>(data)[i] = static_cast<int8_t>(value);
      break;
    case DType::u8:
      static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(value);
      break;
    case DType::boolean:
      static_cast<uint8_t*>(data)[i] = value != 0;
      break;
  }
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  return over(Storage::allocate(bytes_for(shape, dtype)), 0, shape, dtype);
}

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  Tensor tensor = empty(shape, dtype);
  tensor.fill_zero();
  return tensor;
}

Tensor Tensor::full(const Shape& shape, float value) {
  Tensor tensor = empty(shape);
  std::ranges::fill(tensor.values(), value);
  return tensor;
}

Tensor Tensor::from(std::span<const float> values, const Shape& shape) {
  check(static_cast<int64_t>(values.size()) == shape.numel(), "tensor", "{} values do not fill {}",
        values.size(), shape.str());
  Tensor tensor = empty(shape);
  std::ranges::copy(values, tensor.f32());
  return tensor;
}

Tensor Tensor::over(std::shared_ptr<Storage> storage, size_t byte_offset, const Shape& shape,
                    DType dtype) {
  const size_t bytes = bytes_for(shape, dtype);
  check(byte_offset <= storage->bytes() && bytes <= storage->bytes() - byte_offset, "tensor",
        "{} of {} at byte {} does not fit into {} bytes", shape.str(), name_of(dtype), byte_offset,
        storage->bytes());
  Tensor tensor;
  tensor.storage_ = std::move(storage);
  tensor.byte_offset_ = byte_offset;
  tensor.shape_ = shape;
  tensor.numel_ = shape.numel();
  tensor.dtype_ = dtype;
  return tensor;
}

Tensor Tensor::reshape(std::span<const int64_t> dims) const {
  std::vector<int64_t> resolved(dims.begin(), dims.end());
  int64_t known = 1;
  int64_t* open = nullptr;
  for (int64_t& dim : resolved) {
    if (dim == -1) {
      check(open == nullptr, "reshape", "only one size may be -1");
      open = &dim;
    } else {
      known *= dim;
    }
  }
  if (open != nullptr) *open = known == 0 ? 0 : numel_ / known;
  const Shape shape{std::span<const int64_t>(resolved)};
  check(shape.numel() == numel_, "reshape", "{} cannot become {}", shape_.str(), shape.str());
  Tensor result = *this;
  result.shape_ = shape;
  return result;
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  check(rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0], "tensor",
        "rows {} to {} are outside {}", begin, end, shape_.str());
  const int64_t row = shape_[0] == 0 ? 0 : numel_ / shape_[0];
  Tensor result = *this;
  result.shape_[0] = end - begin;
  result.numel_ = row * (end - begin);
  result.byte_offset_ += static_cast<size_t>(row * begin) * size_of(dtype_);
  return result;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor copy = empty(shape_, dtype_);
  std::memcpy(copy.raw(), raw(), bytes());
  return copy;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor result = empty(shape_, dtype);
  const void* source = raw();
  void* target = result.raw();
  if (dtype == DType::f32 && dtype_ == DType::f16) {
    for (int64_t i = 0; i < numel_; ++i)
      static_cast<float*>(target)[i] = f16_to_f32(static_cast<const uint16_t*>(source)[i]);
  } else if (dtype == DType::f32 && dtype_ == DType::bf16) {
    for (int64_t i = 0; i < numel_; ++i)
      static_cast<float*>(target)[i] = bf16_to_f32(static_cast<const uint16_t*>(source)[i]);
  } else {
    for (int64_t i = 0; i < numel_; ++i)
      store_double(target, dtype, i, element_as_double(source, dtype_, i));
  }
  return result;
}

void Tensor::copy_from(const Tensor& other) {
  check(shape_ == other.shape_ && dtype_ == other.dtype_, "tensor", "cannot copy {} {} into {} {}",
        name_of(other.dtype_), other.shape_.str(), name_of(dtype_), shape_.str());
  std::memmove(raw(), other.raw(), bytes());
  storage_->bump_version();
}

void Tensor::fill_zero() {
  if (numel_ > 0) std::memset(raw(), 0, bytes());
  if (storage_ != nullptr) storage_->bump_version();
}

View Tensor::view() const {
  View view{.data = raw(), .dtype = dtype_, .device = device(), .shape = shape_, .strides = {}};
  int64_t stride = 1;
  for (int axis = rank() - 1; axis >= 0; --axis) {
    view.strides[axis] = stride;
    stride *= shape_[axis];
  }
  return view;
}

}  // namespace vitrail
