#include "train/optimizer/optimizer.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/error.h"
#include "kernels/adamw.h"
#include "kernels/reduce.h"
#include "kernels/sgd.h"
#include "train/optimizer/muon.h"

namespace vitrail {
namespace {

Tensor read_moment(const TensorSource& tensors, const std::string& name, const Shape& shape) {
  const TensorInfo& info = tensors.info(name);
  check(info.shape == shape && info.dtype == DType::f32, "checkpoint",
        "{}: {} is {}, the parameter {}", tensors.place(), name, info.shape.str(), shape.str());
  return tensors.tensor(name).clone();
}

const std::string kSteps = "optimizer.steps.";

// Of one parameter; `all` where it had a gradient in every step.
int64_t read_steps(const TensorSource& tensors, const std::string& name, int64_t all) {
  if (!tensors.contains(name)) return all;
  const TensorInfo& info = tensors.info(name);
  check(info.shape == Shape{1} && info.dtype == DType::i64, "checkpoint", "{}: {} is {} {}",
        tensors.place(), name, name_of(info.dtype), info.shape.str());
  const int64_t steps = *tensors.tensor(name).data<int64_t>();
  check(steps >= 0 && steps <= all, "checkpoint", "{}: {} is {} of {} steps", tensors.place(), name,
        steps, all);
  return steps;
}

class AdamW : public Optimizer {
 public:
  AdamW(std::vector<Trained> trained, const OptimizerOptions& options)
      : Optimizer(std::move(trained), {"first_moment", "second_moment"}), options_(options) {}

 private:
  void update(Queue& queue, const Update& u) override {
    std::vector<kernels::AdamWArgs> updates;
    for (const Slot* slot : u.slots)
      updates.push_back(adamw_args(*slot->trained.parameter, slot->moments[0], slot->moments[1],
                                   {.options = options_,
                                    .trained = slot->trained,
                                    .learning_rate = u.learning_rate,
                                    .gradient_scale = u.gradient_scale,
                                    .step = slot->steps}));
    kernels::adamw(queue, updates);
  }
  OptimizerOptions options_;
};

class Sgd : public Optimizer {
 public:
  Sgd(std::vector<Trained> trained, const OptimizerOptions& options)
      : Optimizer(std::move(trained), {"momentum"}), options_(options) {}

 private:
  void update(Queue& queue, const Update& u) override {
    std::vector<kernels::SgdArgs> updates;
    for (const Slot* slot : u.slots)
      updates.push_back({.count = slot->parameter().shape().numel(),
                         .parameter = slot->parameter().value().f32(),
                         .gradient = slot->parameter().gradient().f32(),
                         .momentum_buffer = slot->moments[0].f32(),
                         .learning_rate = u.learning_rate * slot->trained.rate,
                         .momentum = options_.momentum,
                         .nesterov = options_.nesterov,
                         .weight_decay = slot->trained.weight_decay,
                         .gradient_scale = static_cast<float>(u.gradient_scale)});
    kernels::sgd(queue, updates);
  }
  OptimizerOptions options_;
};

// Matrices within the blocks and filters by Muon; what makes tokens, vectors and heads by AdamW.
class MuonWithAdamW : public Optimizer {
 public:
  MuonWithAdamW(std::vector<Trained> trained, const OptimizerOptions& options)
      : Optimizer(std::move(trained), {"first_moment", "second_moment"}), options_(options) {}

 private:
  void update(Queue& queue, const Update& u) override {
    std::vector<kernels::AdamWArgs> updates;
    for (const Slot* slot : u.slots) {
      UpdateOf one{.options = options_,
                   .trained = slot->trained,
                   .learning_rate = u.learning_rate,
                   .gradient_scale = u.gradient_scale,
                   .step = slot->steps};
      if (slot->parameter().role().muon != ParameterRole::Muon::none) {
        muon(queue, slot->parameter(), slot->moments[0], one);
        continue;
      }
      one.learning_rate *= options_.adamw_rate;
      updates.push_back(adamw_args(slot->parameter(), slot->moments[0], slot->moments[1], one));
    }
    kernels::adamw(queue, updates);
  }
  OptimizerOptions options_;
};

}  // namespace

OptimizerKind optimizer_from_name(const std::string& name) {
  if (name == "adamw") return OptimizerKind::adamw;
  if (name == "sgd") return OptimizerKind::sgd;
  if (name == "muon") return OptimizerKind::muon;
  fail("training config", "optimizer is '{}'; there are adamw, sgd and muon", name);
}

kernels::AdamWArgs adamw_args(const Parameter& parameter, const Tensor& first, const Tensor& second,
                              const UpdateOf& u) {
  return {.count = parameter.shape().numel(),
          .parameter = parameter.value().f32(),
          .gradient = parameter.gradient().f32(),
          .first_moment = first.f32(),
          .second_moment = second.f32(),
          .step = u.step,
          .learning_rate = u.learning_rate * u.trained.rate,
          .beta1 = u.options.beta1,
          .beta2 = u.options.beta2,
          .epsilon = u.options.epsilon,
          .weight_decay = u.trained.weight_decay,
          .gradient_scale = static_cast<float>(u.gradient_scale)};
}

Optimizer::Optimizer(std::vector<Trained> trained, std::vector<const char*> moment_names)
    : moment_names_(std::move(moment_names)) {
  for (const Trained& one : trained) {
    Slot& slot = slots_.emplace_back(Slot{.trained = one, .moments = {}});
    for (size_t i = 0; i < moment_names_.size(); ++i)
      slot.moments.push_back(Tensor::zeros(one.parameter->shape()));
  }
}

double Optimizer::gradient_norm(Queue& queue) const {
  std::vector<Tensor> kept;
  std::vector<std::span<const float>> gradients;
  for (const Slot& slot : slots_) {
    const Tensor gradient = slot.parameter().gradient();
    if (!gradient.defined()) continue;
    gradients.push_back(gradient.values());
    kept.push_back(gradient);
  }
  double sum = 0;
  kernels::sum_squares(queue, gradients, &sum);
  return std::sqrt(sum);
}

void Optimizer::step(Queue& queue, double learning_rate, double gradient_scale) {
  ++steps_;
  std::vector<const Slot*> ready;
  for (Slot& slot : slots_) {
    if (!slot.parameter().gradient().defined()) continue;
    ++slot.steps;
    ready.push_back(&slot);
  }
  update(queue, {.slots = ready, .learning_rate = learning_rate, .gradient_scale = gradient_scale});
  for (const Slot* slot : ready) slot->parameter().changed();
}

NamedTensors Optimizer::state() const {
  NamedTensors tensors;
  for (const Slot& slot : slots_)
    for (size_t i = 0; i < moment_names_.size(); ++i)
      tensors.emplace_back(
          std::string("optimizer.") + moment_names_[i] + "." + slot.parameter().path(),
          slot.moments[i]);
  for (const Slot& slot : slots_) {
    if (slot.steps == steps_) continue;
    Tensor steps = Tensor::empty({1}, DType::i64);
    *steps.data<int64_t>() = slot.steps;
    tensors.emplace_back(kSteps + slot.parameter().path(), steps);
  }
  return tensors;
}

void Optimizer::set_weight_decay(double weight_decay) {
  for (Slot& slot : slots_)
    if (slot.trained.decayed) slot.trained.weight_decay = weight_decay;
}

void Optimizer::load(const TensorSource& tensors, int64_t steps) {
  std::vector<Slot> loaded = slots_;
  for (Slot& slot : loaded) {
    slot.steps = read_steps(tensors, kSteps + slot.parameter().path(), steps);
    for (size_t i = 0; i < moment_names_.size(); ++i)
      slot.moments[i] = read_moment(
          tensors, std::string("optimizer.") + moment_names_[i] + "." + slot.parameter().path(),
          slot.parameter().shape());
  }
  slots_ = std::move(loaded);
  steps_ = steps;
}

std::unique_ptr<Optimizer> make_optimizer(const ParameterRegistry& parameters,
                                          const OptimizerOptions& options) {
  std::vector<Trained> trained =
      trained_parameters(parameters, {.weight_decay = options.weight_decay,
                                      .decay_all = options.decay_all,
                                      .layer_decay = options.layer_decay});
  switch (options.kind) {
    case OptimizerKind::adamw:
      return std::make_unique<AdamW>(std::move(trained), options);
    case OptimizerKind::sgd:
      return std::make_unique<Sgd>(std::move(trained), options);
    case OptimizerKind::muon:
      return std::make_unique<MuonWithAdamW>(std::move(trained), options);
  }
  fail("train", "unknown optimizer");
}

double clip_scale(double norm, double max_norm) {
  if (max_norm <= 0) return 1;
  return std::min(1.0, max_norm / (norm + 1e-6));
}

}  // namespace vitrail
