// What a session answers: classes, and arrays of numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vit {

// Numbers with a shape, the last axis fastest.
struct Array {
  std::vector<float> values = {};
  std::vector<std::int64_t> shape = {};
};
using Features = Array;

struct Prediction {
  std::int64_t index = 0;
  std::optional<std::string> label = {};  // nothing: the checkpoint does not say
  // By the model's answer: softmax over all classes, or the sigmoid of this class alone. Of a
  // regression NaN: the value is the logit.
  double probability = 0;
  float logit = 0;
};

struct Classification {
  std::vector<Prediction> top = {};  // the best classes, best first
  // Of a model for several classes a picture (Model::multi_label): how many classes reach the
  // session's threshold. They are the first of `top`, as many as it holds.
  std::int64_t above = 0;
  // Of a calibrated model: the picture shows none of its classes, for it is less certain than
  // Model::rejection_threshold() of the best one.
  bool none = false;
  std::optional<double> certainty = {};  // nothing: the model was not calibrated
};

}  // namespace vit
