#include "train/optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string_view>

#include "core/error.h"
#include "kernels/adamw.h"
#include "kernels/reduce.h"

namespace vitrail {
namespace {

constexpr const char* kFirstMoment = "optimizer.first_moment.";
constexpr const char* kSecondMoment = "optimizer.second_moment.";

Tensor read_moment(const TensorSource& tensors, const std::string& name, const Shape& shape) {
  const TensorInfo& info = tensors.info(name);
  check(info.shape == shape && info.dtype == DType::f32, "checkpoint",
        "{}: {} is {}, the parameter {}", tensors.place(), name, info.shape.str(), shape.str());
  return tensors.tensor(name).clone();
}

}  // namespace

bool is_decayed(const Parameter& parameter) {
  static constexpr std::array<std::string_view, 5> kTables = {
      "cls_token", "dist_token", "reg_token", "pos_embed", "attn_pool.latent"};
  return parameter.shape().rank() > 1 &&
         std::ranges::find(kTables, parameter.path()) == kTables.end();
}

AdamW::AdamW(ParameterRegistry& parameters, const AdamWOptions& options) : options_(options) {
  for (const auto& parameter : parameters.all()) {
    if (!parameter->trainable()) continue;
    const bool decayed = options.decay_all || is_decayed(*parameter);
    slots_.push_back({.parameter = parameter.get(),
                      .first_moment = Tensor::zeros(parameter->shape()),
                      .second_moment = Tensor::zeros(parameter->shape()),
                      .weight_decay = decayed ? options.weight_decay : 0.0});
  }
}

double AdamW::gradient_norm(Queue& queue) const {
  std::vector<std::span<const float>> gradients;
  for (const Slot& slot : slots_) {
    const Tensor gradient = slot.parameter->gradient();
    if (gradient.defined()) gradients.push_back(gradient.values());
  }
  double sum = 0;
  kernels::sum_squares(queue, gradients, &sum);
  return std::sqrt(sum);
}

void AdamW::step(Queue& queue, double learning_rate, double gradient_scale) {
  ++steps_;
  std::vector<kernels::AdamWArgs> updates;
  for (const Slot& slot : slots_) {
    const Tensor gradient = slot.parameter->gradient();
    if (!gradient.defined()) continue;
    updates.push_back({.count = gradient.numel(),
                       .parameter = slot.parameter->value().f32(),
                       .gradient = gradient.f32(),
                       .first_moment = slot.first_moment.f32(),
                       .second_moment = slot.second_moment.f32(),
                       .step = steps_,
                       .learning_rate = learning_rate,
                       .beta1 = options_.beta1,
                       .beta2 = options_.beta2,
                       .epsilon = options_.epsilon,
                       .weight_decay = slot.weight_decay,
                       .gradient_scale = static_cast<float>(gradient_scale)});
  }
  kernels::adamw(queue, updates);
  for (const Slot& slot : slots_)
    if (slot.parameter->gradient().defined()) slot.parameter->changed();
}

NamedTensors AdamW::state() const {
  NamedTensors tensors;
  for (const Slot& slot : slots_) {
    tensors.emplace_back(kFirstMoment + slot.parameter->path(), slot.first_moment);
    tensors.emplace_back(kSecondMoment + slot.parameter->path(), slot.second_moment);
  }
  return tensors;
}

void AdamW::load(const TensorSource& tensors, int64_t steps) {
  std::vector<Slot> loaded = slots_;
  for (Slot& slot : loaded) {
    const Shape& shape = slot.parameter->shape();
    slot.first_moment = read_moment(tensors, kFirstMoment + slot.parameter->path(), shape);
    slot.second_moment = read_moment(tensors, kSecondMoment + slot.parameter->path(), shape);
  }
  slots_ = std::move(loaded);
  steps_ = steps;
}

double clip_scale(double norm, double max_norm) {
  if (max_norm <= 0) return 1;
  return std::min(1.0, max_norm / (norm + 1e-6));
}

}  // namespace vitrail
