#include "autograd/parameter.h"

#include "core/error.h"

namespace vitrail {

const Tensor& Parameter::value() const {
  if (only_quantized()) dequantize();
  check(value_.defined(), "parameter", "{} {} has no value", path_, shape_.str());
  return value_;
}

void Parameter::set_value(Tensor value) {
  check(value.shape() == shape_, "parameter", "{} is {}, the value given is {}", path_,
        shape_.str(), value.shape().str());
  check(value.dtype() == DType::f32, "parameter", "{} must be f32, the value given is {}", path_,
        name_of(value.dtype()));
  std::lock_guard lock(mutex_);
  forget_quantized();
  value_ = std::move(value);
  ++version_;
}

void Parameter::set_quantized(const Tensor& values, Tensor scales) {
  const int64_t outputs = shape_.rank() == 0 ? 0 : shape_[0];
  check(values.dtype() == DType::i8 && values.shape() == shape_ && scales.dtype() == DType::f32 &&
            scales.shape() == Shape{outputs} && outputs > 0,
        "parameter", "{} is {}; {} {} with scales {} do not fit", path_, shape_.str(),
        name_of(values.dtype()), values.shape().str(), scales.shape().str());
  std::lock_guard lock(mutex_);
  value_ = {};
  quantized_ = {values.reshape({outputs, -1}), std::move(scales)};
  only_quantized_.store(true, std::memory_order_release);
  ++version_;
}

void Parameter::dequantize() const {
  std::lock_guard lock(dequantizing_);
  if (!only_quantized()) return;  // somebody else was first
  Tensor value = Tensor::empty(shape_);
  Queue queue(1);  // weights are asked for by several threads already
  kernels::dequantize_weight(queue, *quantized_, value.f32());
  value_ = std::move(value);
  only_quantized_.store(false, std::memory_order_release);
}

void Parameter::forget_quantized() {
  quantized_.reset();
  only_quantized_.store(false, std::memory_order_release);
}

void Parameter::set_computed(const Variable& variable) {
  set_value(variable.value());
  slot_ = variable.slot();
}

void Parameter::changed() {
  value().storage()->bump_version();
  std::lock_guard lock(mutex_);
  forget_quantized();
  ++version_;
}

void Parameter::release_source() {
  forget_quantized();
  value_ = {};
}

void Parameter::set_trainable(bool trainable) {
  if (trainable && slot_ == nullptr) slot_ = std::make_shared<GradientSlot>();
  if (!trainable) slot_ = nullptr;
}

}  // namespace vitrail
