// How good a model's features are, without a classifier: a vote of the nearest training pictures
// (Wu et al., "Unsupervised feature learning via non-parametric instance discrimination", CVPR
// 2018, section 3.4), as DINO's authors judge theirs.
#pragma once

#include "train/judge/evaluate.h"
#include "train/judge/features.h"

namespace vitrail {

struct NeighbourOptions {
  int64_t neighbours = 20;       // k; all there are, if fewer
  double temperature = 0.07;     // a neighbour's vote is exp(cosine / temperature)
  int64_t max_pictures = 10000;  // of the training set that vote
};

// Accuracy on the judged pictures; the loss is 0, since votes are no probabilities. Ties go to
// the lower class. Error: no picture.
Evaluation vote_of_neighbours(Queue& queue, const Features& train, const Features& judged,
                              const NeighbourOptions& options = {});

}  // namespace vitrail
