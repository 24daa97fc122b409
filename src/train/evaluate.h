// Loss and accuracy of a model on a set, with the forward pass of training.
#pragma once

#include "data/loader.h"
#include "models/vit.h"
#include "train/gradient_exchange.h"

namespace vitrail {

struct Evaluation {
  double loss = 0;      // mean cross-entropy, without smoothing
  double accuracy = 0;  // top-1
  int64_t pictures = 0;
};

// One pass over the loader's epoch 0; with an exchange over the ranks' shares together. Error: too
// many pictures cannot be read.
Evaluation evaluate(const VisionTransformer& model, Queue& queue, Loader& loader,
                    GradientExchange* exchange = nullptr);

}  // namespace vitrail
