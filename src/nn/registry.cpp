#include "nn/registry.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace vitrail {

Initializer Initializer::xavier_uniform(int64_t fan_in, int64_t fan_out) {
  return uniform(std::sqrt(6.0 / static_cast<double>(fan_in + fan_out)));
}

Initializer Initializer::torch_uniform(int64_t fan_in) {
  return uniform(1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(fan_in, 1))));
}

Parameter& ParameterRegistry::add(const std::string& path, const Shape& shape,
                                  Initializer initializer, const ParameterRole& role,
                                  Parameter::Kind kind) {
  check(!by_path_.contains(path), "parameters", "the path {} is taken", path);
  parameters_.push_back(std::make_shared<Parameter>(path, shape, kind, role));
  Parameter& parameter = *parameters_.back();
  by_path_[path] = &parameter;
  initializers_[&parameter] = std::move(initializer);
  return parameter;
}

void ParameterRegistry::tie(const std::string& path, Parameter& parameter) {
  check(by_path_.emplace(path, &parameter).second, "parameters", "the path {} is taken", path);
}

void ParameterRegistry::include(const ParameterRegistry& other) {
  for (const auto& parameter : other.parameters_) {
    tie(parameter->path(), *parameter);
    parameters_.push_back(parameter);
    initializers_[parameter.get()] = other.initializers_.at(parameter.get());
  }
}

void ParameterRegistry::set_initializer(const Parameter& parameter, Initializer initializer) {
  initializers_.at(&parameter) = std::move(initializer);
}

void ParameterRegistry::remove(const std::string& path) {
  Parameter* parameter = &at(path);
  std::erase_if(by_path_, [&](const auto& entry) { return entry.second == parameter; });
  initializers_.erase(parameter);
  std::erase_if(parameters_, [&](const auto& own) { return own.get() == parameter; });
}

Parameter* ParameterRegistry::find(const std::string& path) const {
  const auto found = by_path_.find(path);
  return found == by_path_.end() ? nullptr : found->second;
}

Parameter& ParameterRegistry::at(const std::string& path) const {
  Parameter* parameter = find(path);
  if (parameter != nullptr) return *parameter;
  // The neighbour that shares the longest beginning is what a typing mistake was meant to be.
  std::string nearest;
  size_t longest = 0;
  for (const auto& candidate : parameters_) {
    const std::string& name = candidate->path();
    const auto end = std::ranges::mismatch(path, name).in1;
    const auto shared = static_cast<size_t>(end - path.begin());
    if (nearest.empty() || shared > longest) {
      nearest = name;
      longest = shared;
    }
  }
  fail("parameters", "there is no parameter '{}'; the nearest name is '{}'", path, nearest);
}

int64_t ParameterRegistry::num_elements() const {
  int64_t count = 0;
  for (const auto& parameter : parameters_)
    if (parameter->kind() == Parameter::Kind::weight) count += parameter->shape().numel();
  return count;
}

void ParameterRegistry::initialise(uint64_t seed) {
  for (const auto& parameter : parameters_) initialise(seed, *parameter);
}

void ParameterRegistry::initialise(uint64_t seed, Parameter& parameter) {
  const Initializer& how = initializers_.at(&parameter);
  if (how.kind == Initializer::Kind::values) return parameter.set_value(how.values.clone());
  Tensor value = Tensor::empty(parameter.shape());
  Rng rng(RandomKey(seed, 0), parameter.path());
  for (float& element : value.values()) {
    switch (how.kind) {
      case Initializer::Kind::constant:
        element = static_cast<float>(how.value);
        break;
      case Initializer::Kind::truncated_normal:
        element = static_cast<float>(rng.truncated_normal(how.value, 2 * how.value));
        break;
      case Initializer::Kind::uniform:
        element = static_cast<float>(rng.uniform(-how.value, how.value));
        break;
      case Initializer::Kind::values:
        break;  // above
    }
  }
  parameter.set_value(std::move(value));
}

void ParameterRegistry::clear_gradients() {
  for (const auto& parameter : parameters_)
    if (parameter->slot()) parameter->slot()->clear();
}

Scope Scope::child(const std::string& name) const {
  return {*registry_, join(name), place_};
}

Parameter& Scope::parameter(const std::string& name, const Shape& shape, Initializer initializer,
                            ParameterRole::Kind kind) const {
  const bool orthogonal = kind == ParameterRole::Kind::matrix && place_.hidden;
  return registry_->add(
      join(name), shape, std::move(initializer),
      {kind, orthogonal ? ParameterRole::Muon::matrix : ParameterRole::Muon::none, place_});
}

Parameter& Scope::filter(const std::string& name, const Shape& shape, Initializer initializer,
                         ParameterRole::Muon muon) const {
  return registry_->add(join(name), shape, std::move(initializer),
                        {ParameterRole::Kind::filter, muon, place_});
}

Parameter& Scope::buffer(const std::string& name, const Shape& shape,
                         Initializer initializer) const {
  return registry_->add(join(name), shape, std::move(initializer),
                        {ParameterRole::Kind::norm, ParameterRole::Muon::none, place_},
                        Parameter::Kind::buffer);
}

}  // namespace vitrail
