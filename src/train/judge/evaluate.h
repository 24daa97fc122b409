// Loss and accuracy of a model on a set, with the forward pass of training.
#pragma once

#include <functional>
#include <optional>

#include "data/loader.h"
#include "models/network.h"
#include "train/run/gradient_exchange.h"

namespace vitrail {

struct Evaluation {
  double loss = 0;      // mean cross-entropy, of sigmoids the binary one, without smoothing
  double accuracy = 0;  // top-1; of several classes a picture the share of exact matches
  int64_t pictures = 0;
  std::optional<double> map = std::nullopt;  // mean average precision, of several classes a picture
  // What chooses between models.
  double score() const { return map.value_or(accuracy); }
};

// Of answers [N, C] for labels [N, C] of 0 and 1.
Evaluation evaluate_labels(const Tensor& logits, const Tensor& labels);

struct EvaluationOptions {
  GradientExchange* exchange = nullptr;  // over the ranks' shares together
  std::function<bool()> stop = {};       // asked before each batch; one process's yes ends all
};

// One pass over the loader's epoch 0. Error: too many pictures cannot be read; it was asked to stop
// (ErrorCode::cancelled).
Evaluation evaluate(const Network& model, Queue& queue, Loader& loader,
                    const EvaluationOptions& options = {});

}  // namespace vitrail
