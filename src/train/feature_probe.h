// How good a model's features are, in seconds and without a gradient: a vote of the nearest
// training pictures (Wu et al., "Unsupervised feature learning via non-parametric instance
// discrimination", CVPR 2018, section 3.4), as DINO's authors judge theirs; and a linear classifier
// in closed form.
#pragma once

#include "data/loader.h"
#include "models/vit.h"
#include "train/evaluate.h"

namespace vitrail {

struct NeighbourOptions {
  int64_t neighbours = 20;       // k; all there are, if fewer
  double temperature = 0.07;     // a neighbour's vote is exp(cosine / temperature)
  int64_t max_pictures = 10000;  // of the training set that vote
};

// Pooled features and labels of the loader's epoch 0, up to `limit` pictures. Error: as evaluate().
struct LabelledFeatures {
  Tensor features;  // f32 [N, D]
  std::vector<int64_t> labels;
};
LabelledFeatures features_of(const VisionTransformer& model, Queue& queue, Loader& loader,
                             int64_t limit);

// Accuracy on the judged pictures; the loss stands at 0, for neither answers with probabilities.
// Ties go to the lower class. Error: no picture.
Evaluation vote_of_neighbours(Queue& queue, const LabelledFeatures& train,
                              const LabelledFeatures& judged, const NeighbourOptions& options = {});

// Least squares from standardised features to one-hot classes with a ridge of `ridge` times the
// number of pictures (Hoerl and Kennard 1970), in double.
Evaluation linear_probe(Queue& queue, const LabelledFeatures& train, const LabelledFeatures& judged,
                        double ridge = 1e-3);

}  // namespace vitrail
