// Where the features of a classifier's own classes lie: a Gaussian a class, all of one covariance
// (Lee et al., "A simple unified framework for detecting out-of-distribution samples and
// adversarial attacks", 2018, equations 1 and 2). What lies far from all of them is of no class.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "formats/tensor_source.h"

namespace vitrail {

class ClassGaussians {
 public:
  // means [C, F]. whitening [F, F], lower triangular: times features minus their class's mean it
  // gives uncorrelated numbers of variance 1. Error: other shapes or types.
  ClassGaussians(Tensor means, Tensor whitening);

  // From features [N, F] of pictures of the classes 0 to C - 1, labels [N]. The covariance has a
  // thousandth of its mean variance added to the diagonal, so that few pictures are enough.
  // Error: a class without pictures, features that do not vary.
  static ClassGaussians fit(const Tensor& features, std::span<const int64_t> labels,
                            int64_t classes);

  // 1 / (1 + d^2 / F), d being Mahalanobis's distance to the nearest mean: near a half for pictures
  // of the classes, near 0 for strangers. features [F].
  double typicality(std::span<const float> features) const;

  int64_t classes() const { return means_.size(0); }
  int64_t width() const { return means_.size(1); }

  // As rejection.safetensors of a model folder holds it. Error: a tensor is missing or misshapen.
  NamedTensors tensors() const { return {{"means", means_}, {"whitening", whitening_}}; }
  static ClassGaussians from_tensors(const TensorSource& tensors);

 private:
  std::vector<double> whitened(std::span<const float> features) const;

  Tensor means_, whitening_;
  std::vector<std::vector<double>> whitened_means_;
};

}  // namespace vitrail
