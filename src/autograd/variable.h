// Variable: a tensor that a tape may know. Without a gradient slot it is a constant, which is all
// that inference ever sees.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "core/queue.h"
#include "core/tensor.h"

namespace vitrail {

// Where the gradient of one variable gathers during a backward walk.
class GradientSlot {
 public:
  // Adds a contribution; the first one is kept without a copy, so the caller must not reuse it.
  void accumulate(Queue& queue, Tensor contribution);
  const Tensor& gradient() const { return gradient_; }
  bool has_gradient() const { return gradient_.defined(); }
  void clear() { gradient_ = {}; }
  Tensor take() { return std::exchange(gradient_, Tensor{}); }

  // A kernel that adds in place gets the existing gradient, or a zeroed one of this shape. Counts
  // as a write.
  Tensor accumulator(const Shape& shape);

  // Uses recorded and not yet walked back; at zero the gradient is complete and on_ready is told
  // (a bucketed all-reduce starts there). A use inside a checkpoint counts once it is replayed.
  void add_use() { ++pending_uses_; }
  void finish_use();
  void forget_use() { --pending_uses_; }  // it will never be walked back
  std::function<void()> on_ready;

 private:
  Tensor gradient_;
  int pending_uses_ = 0;
};

class Variable {
 public:
  Variable() = default;
  Variable(Tensor value) : value_(std::move(value)) {}  // NOLINT: a tensor is a constant
  Variable(Tensor value, std::shared_ptr<GradientSlot> slot)
      : value_(std::move(value)), slot_(std::move(slot)) {}

  // A leaf whose gradient is wanted: pixels with frozen weights, for instance.
  static Variable leaf(Tensor value) {
    return {std::move(value), std::make_shared<GradientSlot>()};
  }

  bool defined() const { return value_.defined(); }
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  int64_t size(int axis) const { return value_.size(axis); }
  bool needs_gradient() const { return slot_ != nullptr; }
  const std::shared_ptr<GradientSlot>& slot() const { return slot_; }
  // Undefined before a backward walk reached this variable.
  Tensor gradient() const { return slot_ ? slot_->gradient() : Tensor{}; }

 private:
  Tensor value_;
  std::shared_ptr<GradientSlot> slot_;
};

}  // namespace vitrail
