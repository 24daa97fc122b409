// Parameter: a named weight or buffer, and the forms that kernels derive from it.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>

#include "autograd/parameter_role.h"
#include "autograd/variable.h"
#include "kernels/gemm_int8.h"

namespace vitrail {

class Parameter {
 public:
  enum class Kind : uint8_t { weight, buffer };  // a buffer is saved but never trained

  Parameter(std::string path, Shape shape, Kind kind = Kind::weight, ParameterRole role = {})
      : path_(std::move(path)), shape_(shape), kind_(kind), role_(role) {}
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;

  const std::string& path() const { return path_; }
  const Shape& shape() const { return shape_; }
  Kind kind() const { return kind_; }
  const ParameterRole& role() const { return role_; }

  // Error: no value was set, or it was released.
  const Tensor& value() const;
  bool has_value() const { return only_quantized() || value_.defined(); }
  // Error: another shape than the parameter's, or not f32.
  void set_value(Tensor value);
  // For a weight that is stored in 8 bits, scales[n] * values[n, ...]: i8 of the parameter's shape,
  // f32 [shape[0]]. Its integers are packed as they are; value() makes the floats when it is first
  // called. Error: other shapes or types.
  void set_quantized(const Tensor& values, Tensor scales);
  // [N, K] as they were set; nullptr: the value was given in floats.
  const kernels::QuantizedWeight* quantized() const { return quantized_ ? &*quantized_ : nullptr; }
  // For a weight that an operation computes (weight norm): its value, and where its gradient goes.
  // Error: as set_value.
  void set_computed(const Variable& variable);
  // To be called after value() was written in place: derived forms are rebuilt at their next use.
  void changed();
  uint64_t version() const { return version_; }
  // Inference only: forgets the source, floats or stored integers, once the derived forms exist.
  // Its memory is free for what is packed next, so that weights are not in memory twice; value()
  // throws from then on.
  void release_source();
  // Whether operations read it in packed form alone, so that its source may be released.
  bool read_packed() const { return read_packed_; }
  void set_read_packed() { read_packed_ = true; }
  // Whether f32 operations read the source itself: it will not be used often enough to be packed.
  bool read_in_place() const { return read_in_place_; }
  void set_read_in_place() { read_in_place_ = true; }

  bool trainable() const { return kind_ == Kind::weight && slot_ != nullptr; }
  void set_trainable(bool trainable);
  // The value as an operand of an operation; it collects gradients when trainable. Undefined after
  // release_source().
  Variable variable() const { return {has_value() ? value() : Tensor(), slot_}; }
  const std::shared_ptr<GradientSlot>& slot() const { return slot_; }
  Tensor gradient() const { return slot_ ? slot_->gradient() : Tensor{}; }

  // A form of the value (packed for an instruction set, a smaller dtype), built once per version by
  // build(value()), or by build() of what it reads of this parameter itself. Thread-safe:
  // concurrent sessions share it.
  template <typename Form, typename Build>
  std::shared_ptr<const Form> derived(const std::string& key, Build build) const {
    std::lock_guard lock(mutex_);
    Derived& entry = derived_[key];
    if (entry.form == nullptr || entry.version != version_) {
      if constexpr (std::is_invocable_v<Build>)
        entry.form = std::make_shared<const Form>(build());
      else
        entry.form = std::make_shared<const Form>(build(value()));
      entry.version = version_;
    }
    return std::static_pointer_cast<const Form>(entry.form);
  }

 private:
  struct Derived {
    uint64_t version = 0;
    std::shared_ptr<const void> form;
  };
  // Whether value() has yet to make the floats. False: nobody will write value_ behind its reader.
  bool only_quantized() const { return only_quantized_.load(std::memory_order_acquire); }
  void dequantize() const;
  void forget_quantized();

  std::string path_;
  Shape shape_;
  Kind kind_;
  ParameterRole role_;
  mutable Tensor value_;
  std::optional<kernels::QuantizedWeight> quantized_;
  mutable std::atomic<bool> only_quantized_{false};
  mutable std::mutex dequantizing_;
  uint64_t version_ = 0;
  bool read_packed_ = false;
  bool read_in_place_ = false;
  std::shared_ptr<GradientSlot> slot_ = std::make_shared<GradientSlot>();
  mutable std::mutex mutex_;
  mutable std::map<std::string, Derived> derived_;
};

}  // namespace vitrail
