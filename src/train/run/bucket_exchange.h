// The gradient exchange over a communicator: gradients gather in buckets as the backward walk
// completes them, and a full bucket is summed while the walk goes on (Li et al., "PyTorch
// Distributed", VLDB 2020).
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/ordered_sum.h"
#include "train/run/gradient_exchange.h"

namespace vitrail {

inline constexpr size_t kBucketBytes = size_t{1} << 20;

class BucketExchange : public GradientExchange {
 public:
  // The communicator must outlive it. A gradient longer than a bucket has one of its own.
  explicit BucketExchange(Communicator& communicator, size_t bucket_bytes = kBucketBytes);

  int rank() const override { return communicator_.rank(); }
  int ranks() const override { return communicator_.ranks(); }
  void ready(const Parameter& parameter, const Tensor& gradient) override;
  void finish() override;
  void sum(std::span<double> values) override;

 private:
  struct Bucket {
    std::vector<float> values;  // kept from step to step
    std::vector<Tensor> gradients;
    std::optional<OrderedSum<float>> sum;  // begun
  };
  void begin_sum();
  void advance();

  Communicator& communicator_;
  size_t capacity_;  // floats
  std::vector<Bucket> buckets_;
  size_t used_ = 0;  // buckets of this step; the last one is open until its sum begins
};

}  // namespace vitrail
