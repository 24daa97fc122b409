// When a classifier answers "none of my classes": how certain it is against a threshold. Certainty
// is either the probability of its best class (Hendrycks and Gimpel, "A baseline for detecting
// misclassified and out-of-distribution examples in neural networks", 2017), or how typical of any
// class the features are that its head reads (models/class_gaussians.h).
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "models/class_gaussians.h"

namespace vitrail {

struct Rejection {
  double threshold = 0;  // in [0, 1]; an answer that is less certain does not count
  double accepted = 0;   // share of held-out pictures of the classes that reach the threshold
  std::shared_ptr<const ClassGaussians> gaussians = nullptr;  // none: the probability is meant
  bool operator==(const Rejection&) const = default;

  const char* certainty_name() const { return gaussians ? "typicality" : "probability"; }
  // best_probability: of the best class. features [F]: what the head read.
  double certainty(double best_probability, std::span<const float> features) const {
    return gaussians ? gaussians->typicality(features) : best_probability;
  }
  bool rejects(double certainty) const { return certainty < threshold; }
};

// "none of my ten classes"
std::string none_of(int64_t classes);

// Beside config.json where there are Gaussians.
inline constexpr const char* kRejectionFile = "rejection.safetensors";

// As config.json holds it.
nlohmann::json to_json(const Rejection& rejection);
// gaussians: the tensors of kRejectionFile, or nothing where there is no such file. Error, at
// `place`: another form, a number outside [0, 1], Gaussians that are missing or of another model.
Rejection rejection_from_json(const nlohmann::json& json, const std::string& place,
                              const TensorSource* gaussians = nullptr);

}  // namespace vitrail
