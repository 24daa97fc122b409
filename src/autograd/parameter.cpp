#include "autograd/parameter.h"

#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"

namespace vitrail {

const Tensor& Parameter::value() const {
  check(value_.defined(), "parameter", "{} {} has no value", path_, shape_.str());
  return value_;
}

void Parameter::set_value(Tensor value) {
  check(value.shape() == shape_, "parameter", "{} is {}, the value given is {}", path_,
        shape_.str(), value.shape().str());
  check(value.dtype() == DType::f32, "parameter", "{} must be f32, the value given is {}", path_,
        name_of(value.dtype()));
  std::lock_guard lock(mutex_);
  value_ = std::move(value);
  ++version_;
}

void Parameter::set_computed(const Variable& variable) {
  set_value(variable.value());
  slot_ = variable.slot();
}

void Parameter::changed() {
  value_.storage()->bump_version();
  std::lock_guard lock(mutex_);
  ++version_;
}

void Parameter::release_source() {
  if (!value_.defined()) return;
  if (value_.storage()->pooled()) {
    value_ = {};
    return;
  }
  // Only whole pages inside the tensor: its neighbours in the file stay as they are.
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(value_.raw());
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = (begin + value_.bytes()) / page * page;
  if (last > first && value_.storage()->read_only())
    madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

void Parameter::set_trainable(bool trainable) {
  if (trainable && slot_ == nullptr) slot_ = std::make_shared<GradientSlot>();
  if (!trainable) slot_ = nullptr;
}

}  // namespace vitrail
