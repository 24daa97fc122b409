// Tape: what the forward pass did, walked backwards once.
//
// The tape is coarse: an operation is "linear with bias and activation" or "attention", so a ViT-B
// forward is about 150 nodes and the tape's own cost does not show. There is no double backward.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "autograd/variable.h"
#include "core/error.h"

namespace vitrail {

// A tensor kept for the backward pass. get() throws Error when its storage was told of a write
// since: by Tensor::copy_from and fill_zero, Parameter::changed (every optimizer's step), gradients
// that add up in a slot, and operations that write where a caller says
// (LinearEpilogue::destination). Kernels take raw memory and tell nobody: whoever hands one memory
// that others may have kept tells the storage (Storage::bump_version).
class SavedTensor {
 public:
  SavedTensor() = default;
  SavedTensor(Tensor tensor)  // NOLINT: saving is the point of the conversion
      : tensor_(std::move(tensor)),
        version_(tensor_.defined() ? tensor_.storage()->version() : 0) {}
  const Tensor& get() const;
  bool defined() const { return tensor_.defined(); }

 private:
  Tensor tensor_;
  uint64_t version_ = 0;
};

class Tape {
 public:
  Tape() = default;
  // A tape that was never walked gives the uses it recorded back.
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Receives the gradient of the output; accumulates into the slots of the inputs it captured.
  using Backward = std::function<void(Queue&, const Tensor& gradient)>;

  // Records one operation and returns its output with a slot of its own. `operation` must be a
  // string literal. Inputs without a slot are ignored.
  Variable record(const char* operation, Tensor output, std::span<const Variable> inputs,
                  Backward backward);
  Variable record(const char* operation, Tensor output, std::initializer_list<Variable> inputs,
                  Backward backward) {
    return record(operation, std::move(output), std::span(inputs.begin(), inputs.size()),
                  std::move(backward));
  }

  // Walks from `output` with `seed` (its shape; ones when undefined) and frees each node's saved
  // tensors as it goes: a tape is walked once. Gradients of leaves are added to what is there.
  // Error: output was not recorded here, or the tape was already walked.
  void backward(Queue& queue, const Variable& output, Tensor seed = {});
  // The same from several outputs at once.
  struct Seed {
    Variable output;
    Tensor gradient;
  };
  void backward(Queue& queue, std::span<const Seed> seeds);

  // Whether this tape made the variable, which is not so of leaves and constants.
  bool recorded(const Variable& variable) const;
  size_t num_nodes() const { return nodes_.size(); }

 private:
  struct Node {
    const char* operation;
    std::shared_ptr<GradientSlot> output;
    Shape output_shape;
    std::vector<std::shared_ptr<GradientSlot>> inputs;
    Backward backward;
  };
  std::vector<Node> nodes_;
  bool walked_ = false;
};

}  // namespace vitrail
