// Loss and accuracy of a model on a set, with the forward pass of training.
#pragma once

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

// One pass over the loader's epoch 0; with an exchange over the ranks' shares together. Error: too
// many pictures cannot be read.
Evaluation evaluate(const Network& model, Queue& queue, Loader& loader,
                    GradientExchange* exchange = nullptr);

}  // namespace vitrail
