// Tensor: contiguous, row-major, reference-counted. View: what kernels take.
#pragma once

#include <array>
#include <cassert>
#include <memory>
#include <span>
#include <vector>

#include "core/dtype.h"
#include "core/memory.h"
#include "core/shape.h"

namespace vitrail {

struct Device {
  enum class Kind : uint8_t { cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

// A strided window on memory that somebody else keeps alive. Strides count elements, not bytes.
struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  Device device;
  Shape shape;
  std::array<int64_t, Shape::kMaxRank> strides{};

  template <typename T>
  T* as() const {
    assert(dtype == dtype_of<T>());
    return static_cast<T*>(data);
  }
};

class Tensor {
 public:
  Tensor() = default;  // holds nothing: defined() is false

  static Tensor empty(const Shape& shape, DType dtype = DType::f32);
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32);
  static Tensor full(const Shape& shape, float value);
  // Copies the values. Error: their number is not shape's.
  static Tensor from(std::span<const float> values, const Shape& shape);
  // A tensor over existing storage, from byte_offset on. Error: it does not fit.
  static Tensor over(std::shared_ptr<Storage> storage, size_t byte_offset, const Shape& shape,
                     DType dtype);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t size(int axis) const { return shape_[axis]; }
  int64_t numel() const { return numel_; }
  size_t bytes() const { return static_cast<size_t>(numel_) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return {}; }
  const std::shared_ptr<Storage>& storage() const { return storage_; }

  void* raw() const { return storage_ ? storage_->data() + byte_offset_ : nullptr; }
  template <typename T>
  T* data() const {
    assert(!defined() || dtype_ == dtype_of<T>());
    return static_cast<T*>(raw());
  }
  float* f32() const { return data<float>(); }
  std::span<float> values() const { return {f32(), static_cast<size_t>(numel_)}; }

  // Same elements, another shape; one size may be -1. Error: the number of elements differs.
  Tensor reshape(std::span<const int64_t> dims) const;
  Tensor reshape(std::initializer_list<int64_t> dims) const {
    return reshape(std::span(dims.begin(), dims.size()));
  }
  Tensor reshape(const Shape& shape) const { return reshape({shape.begin(), shape.end()}); }
  // Rows [begin, end) of the first axis; shares storage.
  Tensor rows(int64_t begin, int64_t end) const;
  Tensor clone() const;
  // A copy in another dtype; itself when the dtype is already that one. Floats and integers.
  Tensor to(DType dtype) const;
  void copy_from(const Tensor& other);  // Error: shape or dtype differs
  void fill_zero();

  View view() const;

 private:
  std::shared_ptr<Storage> storage_;
  size_t byte_offset_ = 0;
  int64_t numel_ = 0;
  Shape shape_;
  DType dtype_ = DType::f32;
};

}  // namespace vitrail
