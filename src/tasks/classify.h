// Classification: logits to named, ranked answers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "infer/session.h"

namespace vitrail {

struct Prediction {
  int64_t index = 0;
  std::optional<std::string> label;  // nothing: the checkpoint does not say
  double probability = 0;            // softmax over all classes
  float logit = 0;
};

// The k best classes, best first (all of them when there are fewer); of equal logits the lower
// index comes first. Error: a logit that is not finite, which no sound checkpoint gives.
std::vector<Prediction> top_predictions(std::span<const float> logits, const ClassLabels& labels,
                                        int64_t k);

struct Classification {
  std::vector<Prediction> top;      // empty when there is an error
  bool none = false;                // too uncertain to be meant (models/rejection.h)
  std::optional<double> certainty;  // of a calibrated model: what is held against its threshold
  std::string error;                // "" when the picture was read
};

// The answer that these logits [classes] are, with the k best classes; features: the picture's row
// of VitOutput::pooled. Error: as top_predictions().
Classification judge(const Model& model, std::span<const float> logits,
                     std::span<const float> features, int64_t k);

// Answers for a batch of prepared pictures. Error: a model without a head.
std::vector<Classification> classify(Session& session, const PreparedBatch& batch, int64_t k);

}  // namespace vitrail
