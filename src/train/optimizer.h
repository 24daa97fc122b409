// AdamW over a model's parameters (Loshchilov and Hutter, "Decoupled weight decay regularization",
// 2019), with clipping by the global norm of the gradients.
#pragma once

#include <string>
#include <vector>

#include "core/queue.h"
#include "formats/tensor_source.h"
#include "nn/registry.h"

namespace vitrail {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.05;
  // Also biases, norms, tokens and position embeddings, as torch.optim.AdamW does with one group.
  bool decay_all = false;
};

// The field's convention (timm's param_groups_weight_decay): vectors, tokens and position tables
// are not pulled to zero.
bool is_decayed(const Parameter& parameter);

class AdamW {
 public:
  // The registry must outlive the optimizer. Moments start at zero.
  AdamW(ParameterRegistry& parameters, const AdamWOptions& options);

  // The global norm of the gradients: the root of the sum of all squares.
  double gradient_norm(Queue& queue) const;
  // Updates every parameter that has a gradient; gradients are multiplied by gradient_scale first.
  void step(Queue& queue, double learning_rate, double gradient_scale = 1);
  int64_t steps() const { return steps_; }

  // "optimizer.first_moment.PATH" and "optimizer.second_moment.PATH", sharing the optimizer's
  // memory.
  NamedTensors state() const;
  // Error: a tensor is missing or has another shape.
  void load(const TensorSource& tensors, int64_t steps);

 private:
  struct Slot {
    Parameter* parameter;
    Tensor first_moment, second_moment;
    double weight_decay;
  };
  AdamWOptions options_;
  std::vector<Slot> slots_;
  int64_t steps_ = 0;
};

// What gradients are multiplied by so that their norm is at most max_norm, as
// torch.nn.utils.clip_grad_norm_ has it; 1 when max_norm is 0.
double clip_scale(double norm, double max_norm);

}  // namespace vitrail
