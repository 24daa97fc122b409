// Optimizers over the parameters of a method: AdamW (Loshchilov and Hutter, "Decoupled weight decay
// regularization", 2019), SGD with momentum, and Muon (Jordan et al., "Muon: an optimizer for
// hidden layers in neural networks", 2024), with clipping by the global norm of the gradients.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/queue.h"
#include "formats/tensor_source.h"
#include "train/optimizer/parameter_groups.h"

namespace vitrail {

enum class OptimizerKind : uint8_t { adamw, sgd, muon };
OptimizerKind optimizer_from_name(const std::string& name);  // Error: none of adamw, sgd, muon

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adamw;
  // Of AdamW, and of what Muon leaves to it.
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.05;  // of SGD it is added to the gradient, else decoupled
  // Also biases, norms, tokens and position embeddings, as torch.optim.AdamW does with one group.
  bool decay_all = false;
  double layer_decay = 1;  // learning rate of each layer over that of the next one
  // Of SGD, as torch.optim.SGD without dampening; of Muon, as torch.optim.Muon.
  double momentum = 0.9;
  bool nesterov = false;
  // Muon's learning rate becomes AdamW's through 0.2 sqrt(max(rows, columns)) (Liu et al., "Muon is
  // scalable for LLM training", 2025); false: the original sqrt(max(1, rows / columns)).
  bool match_adamw = true;
  // Learning rate of what Muon leaves to AdamW, over that of Muon's matrices.
  double adamw_rate = 1;
  // Above 0 Muon keeps filters behind which a normalisation stands, whose scale changes no answer,
  // at the norm sqrt(outputs) and moves them by this share of the learning rate, without decay:
  // about this share of their own size (Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU",
  // 2024, in the version with Muon). 0: they are like other matrices.
  double filter_rate = 0;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // The global norm of the gradients: the root of the sum of all squares.
  double gradient_norm(Queue& queue) const;
  // Updates every parameter that has a gradient; gradients are multiplied by gradient_scale first.
  void step(Queue& queue, double learning_rate, double gradient_scale = 1);
  int64_t steps() const { return steps_; }
  // Of the parameters that are decayed, from the next step on.
  void set_weight_decay(double weight_decay);

  // "optimizer.NAME.PATH" for each moment, sharing the optimizer's memory; and, i64 [1],
  // "optimizer.steps.PATH" where a parameter had no gradient in some steps.
  NamedTensors state() const;
  // Error: a tensor is missing or has another shape; nothing has changed then.
  void load(const TensorSource& tensors, int64_t steps);

 protected:
  struct Slot {
    Trained trained;
    std::vector<Tensor> moments;  // in the order of moment_names
    int64_t steps = 0;            // with a gradient: a moment is as old as these, as in torch
    Parameter& parameter() const { return *trained.parameter; }
  };
  Optimizer(std::vector<Trained> trained, std::vector<const char*> moment_names);

  // One update of `slots`, all of which have gradients.
  struct Update {
    const std::vector<const Slot*>& slots;  // their steps count this one
    double learning_rate, gradient_scale;
  };
  virtual void update(Queue& queue, const Update& update) = 0;

 private:
  std::vector<const char*> moment_names_;
  std::vector<Slot> slots_;
  int64_t steps_ = 0;
};

// Over every trainable parameter. The registry must outlive the optimizer; moments start at zero.
std::unique_ptr<Optimizer> make_optimizer(const ParameterRegistry& parameters,
                                          const OptimizerOptions& options);

// What gradients are multiplied by so that their norm is at most max_norm, as
// torch.nn.utils.clip_grad_norm_ has it; 1 when max_norm is 0.
double clip_scale(double norm, double max_norm);

// Muon's direction: the gradient [rows, columns] with its singular values brought near 1, by five
// steps of Newton and Schulz's iteration X <- a X + (b A + c A A) X, A = X X^T, from
// X = G / |G|; (a, b, c) = (3.4445, -4.7750, 2.0315). In f32.
Tensor orthogonalised(Queue& queue, const Tensor& gradient);

}  // namespace vitrail
