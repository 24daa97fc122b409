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
  // By what the model's answer is (models/answer.h): softmax over all classes, or the sigmoid of
  // this one alone. Of a regression NaN: its value is the logit.
  double probability = 0;
  float logit = 0;
};

// From this probability on a class counts, where a picture may show several.
inline constexpr double kThreshold = 0.5;

// The k best classes, best first (all of them when there are fewer); of equal logits the lower
// index comes first. Error: a logit that is not finite, which no sound checkpoint gives.
std::vector<Prediction> top_predictions(std::span<const float> logits, const ClassLabels& labels,
                                        int64_t k, Answer answer);

struct AnswerOptions {
  // How many of the best classes are named. Nothing: five, and of a model for several classes a
  // picture at least those that reach the threshold.
  std::optional<int64_t> top = std::nullopt;
  double threshold = kThreshold;  // of such a model; in (0, 1)
};

struct Classification {
  std::vector<Prediction> top;      // empty when there is an error
  int64_t above = 0;                // classes, named or not, that reach the threshold: the first so
                                    // many of `top`; only of a model for several classes a picture
  bool none = false;                // too uncertain to be meant (models/rejection.h)
  std::optional<double> certainty;  // of a calibrated model: what is held against its threshold
  std::string error;                // "" when the picture was read
  ErrorCode code = ErrorCode::bad_input;  // of this error
};

// The answer that these logits [classes] are, with the best classes; features: the picture's row
// of NetworkOutput::pooled. Error: as top_predictions(), a threshold out of range.
Classification judge(const Model& model, std::span<const float> logits,
                     std::span<const float> features, const AnswerOptions& options = {});

// Error (unsupported): a model without a head.
void check_has_classes(const Model& model);

// Answers for a batch of prepared pictures. Error: a model without a head.
std::vector<Classification> classify(Session& session, const PreparedBatch& batch,
                                     const AnswerOptions& options = {});

}  // namespace vitrail
