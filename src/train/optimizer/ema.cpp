#include "train/optimizer/ema.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "kernels/lerp.h"

namespace vitrail {
namespace {

constexpr const char* kPrefix = "ema.";

}  // namespace

Ema::Ema(ParameterRegistry& parameters, const EmaOptions& options)
    : parameters_(parameters), options_(options) {
  for (const auto& parameter : parameters.all()) averages_.push_back(parameter->value().clone());
}

double Ema::decay_at(int64_t step) const {
  if (step <= 0) return 0;
  if (!options_.warmup) return options_.decay;
  return std::min(options_.decay, 1 - std::pow(1 + static_cast<double>(step), -2.0 / 3.0));
}

void Ema::update(Queue& queue, int64_t step) {
  std::vector<kernels::LerpArgs> updates;
  for (size_t i = 0; i < averages_.size(); ++i)
    updates.push_back({.count = averages_[i].numel(),
                       .x = averages_[i].f32(),
                       .y = parameters_.all()[i]->value().f32(),
                       .weight = 1 - decay_at(step)});
  kernels::lerp(queue, updates);
}

NamedTensors Ema::state() const {
  NamedTensors tensors;
  for (size_t i = 0; i < averages_.size(); ++i)
    tensors.emplace_back(kPrefix + parameters_.all()[i]->path(), averages_[i]);
  return tensors;
}

void Ema::load(const TensorSource& tensors) {
  std::vector<Tensor> loaded;
  for (const auto& parameter : parameters_.all()) {
    const std::string name = kPrefix + parameter->path();
    check(tensors.info(name).shape == parameter->shape(), "checkpoint", "{}: {} is {}, not {}",
          tensors.place(), name, tensors.info(name).shape.str(), parameter->shape().str());
    loaded.push_back(tensors.tensor(name).clone());
  }
  averages_ = std::move(loaded);
}

void Ema::swap() {
  for (size_t i = 0; i < averages_.size(); ++i) {
    Parameter& parameter = *parameters_.all()[i];
    Tensor weights = parameter.value();
    parameter.set_value(averages_[i]);
    averages_[i] = weights;
  }
}

}  // namespace vitrail
