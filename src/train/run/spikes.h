// SpikeDetector: tells a step whose loss is far above the recent ones.
#pragma once

#include <cstdint>
#include <vector>

#include "formats/tensor_source.h"

namespace vitrail {

class SpikeDetector {
 public:
  // threshold: robust deviations; 0: nothing finite is a spike. So many spikes in a row as `limit`
  // are skipped; the next one is the new rule, and what was recent is forgotten.
  SpikeDetector(double threshold, int64_t limit) : threshold_(threshold), limit_(limit) {}

  // Told of every finite loss. True: the step is to be skipped, for the loss is above
  // median + threshold * 1.4826 * MAD of the last 100 accepted ones, and above twice the largest of
  // them, so that a hard batch late in training is none. Before 50 were accepted nothing is.
  bool skips(double loss);

  // "recent_losses" f64: the spikes in a row, then the accepted losses, the oldest first.
  NamedTensors state() const;
  void load(const TensorSource& tensors);

 private:
  bool is_spike(double loss) const;

  double threshold_;
  int64_t limit_;
  int64_t in_a_row_ = 0;
  std::vector<double> losses_;
};

}  // namespace vitrail
