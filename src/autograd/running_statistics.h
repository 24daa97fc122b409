// RunningStatistics: the means and variances that batch normalisation keeps for inference, as one
// step's forward passes measure them.
//
// They follow the batches of whole steps: each normalises by its own statistics, whatever part of a
// step or process it is, and the step moves the running ones once, by the mean over its batches. So
// a step in two parts and one on two processes keep the same bits, and a step that is thrown away
// leaves none.
#pragma once

#include <span>
#include <vector>

#include "autograd/parameter.h"

namespace vitrail {

class RunningStatistics {
 public:
  // What a layer measured on one batch. mean and variance are its buffers, all of one shape [C].
  void add(Parameter& mean, Parameter& variance, std::span<const float> batch_mean,
           std::span<const float> batch_variance);
  // Sums over this process's batches and their number, layer by layer: ranks that run the same
  // layers may add theirs.
  std::span<double> sums() { return sums_; }
  // running += share (mean over the batches - running), torch's momentum; then as after clear().
  void update(double share);
  void clear();

 private:
  struct Layer {
    Parameter* mean;
    Parameter* variance;
    size_t at;  // in sums_: C means, C variances, the number of batches
  };
  std::vector<Layer> layers_;
  std::vector<double> sums_;
};

}  // namespace vitrail
