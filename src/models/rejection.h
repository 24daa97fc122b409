// When a classifier answers "none of my classes": the probability of its best class against a
// threshold (Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution
// examples in neural networks", 2017).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace vitrail {

struct Rejection {
  double threshold = 0;  // in [0, 1]; a best class that is less probable does not count
  double accepted = 0;   // share of held-out pictures of the classes that reach the threshold
  bool operator==(const Rejection&) const = default;

  bool rejects(double best_probability) const { return best_probability < threshold; }
};

// "none of my ten classes"
std::string none_of(int64_t classes);

// As config.json holds it. Error, at `place`: another form, a number outside [0, 1].
nlohmann::json to_json(const Rejection& rejection);
Rejection rejection_from_json(const nlohmann::json& json, const std::string& place);

}  // namespace vitrail
