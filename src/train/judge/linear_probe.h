// The linear probe: a classifier on features that are computed once. Multinomial logistic
// regression with a squared penalty, fitted by L-BFGS (Liu and Nocedal 1989), so that a penalty has
// one answer and nothing depends on a learning rate.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "train/judge/evaluate.h"
#include "train/judge/features.h"

namespace vitrail {

struct ProbeOptions {
  // Factors of the penalty beside the mean cross-entropy, for features scaled to deviation 1. Tried
  // from the strongest on; each fit begins at the last one's answer.
  std::vector<double> penalties = {1, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4};
  int max_iterations = 200;
  double tolerance = 1e-4;          // of the gradient's norm
  std::function<bool()> stop = {};  // asked before each look at the loss
};

struct LinearProbe {
  Tensor weight;  // [classes, F], for the features as they are
  Tensor bias;    // [classes]
  double penalty = 0;
  int64_t correct = 0;  // of the validation features; of several classes a picture exact matches
  std::optional<double> map = std::nullopt;  // then: the mean average precision
  double loss = 0;                           // on them
};

// The probe of the penalty that answers most validation features rightly, of several classes a
// picture the one of the highest mean average precision (of equal ones, with the lowest loss).
// Error: a label outside [0, classes), features of different widths; it was asked to stop
// (ErrorCode::cancelled).
LinearProbe fit_probe(Queue& queue, const Features& train, const Features& validation,
                      int64_t classes, const ProbeOptions& options = {});

// How good features are: a probe of the training pictures, judged on others that choose nothing; a
// fifth of the training pictures chooses the penalty, then all of them are fitted with it. The loss
// is the mean cross-entropy of the judged ones. Error: fewer than two training pictures.
Evaluation judge_by_probe(Queue& queue, const Features& train, const Features& judged,
                          const ProbeOptions& options = {});

// Of features of several classes a picture.
Evaluation judge_probe(Queue& queue, const LinearProbe& probe, const Features& features);

// How many of the features it answers rightly.
int64_t count_correct(Queue& queue, const LinearProbe& probe, const Features& features);

// Makes the probe the model's head (or heads). Error: the model has no head, or another shape.
void set_head(Network& model, const LinearProbe& probe);

}  // namespace vitrail
