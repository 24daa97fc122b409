// Policies of augmentation: which operations a picture meets, and how strongly.
//
//   rand-m9-mstd0.5-inc1   RandAugment (Cubuk et al., 2020) as timm spells and does it: sections in
//                          any order, m magnitude (10), n operations a picture (2), p probability
//                          of each (0.5), mstd deviation of the magnitude (0; above 100: uniform
//                          below it), mmax highest magnitude (10), inc 1 for operations that all
//                          grow with the magnitude, t another choice of operations: weights, 3a,
//                          3aw
//   3a                     3-Augment (DeiT III, Touvron et al., 2022): grey, solarised or blurred,
//                          one of them; colour jitter is an option of its own
//   cifar10                AutoAugment's policy for CIFAR-10 (Cubuk et al., 2019) as torchvision
//                          does it: pixels read by nearest, black beyond the edges
#pragma once

#include <string>
#include <vector>

#include "core/parallel.h"
#include "core/rng.h"
#include "image/augment/geometric.h"

namespace vitrail {

class AutoAugment {
 public:
  // Error: an unknown policy or section.
  explicit AutoAugment(const std::string& policy);
  // `style` is asked before each operation that moves pixels.
  void apply(Image& image, Rng& rng, FunctionRef<AffineStyle()> style) const;

 private:
  struct Rand {
    double magnitude = 10, deviation = 0, highest = 10, probability = 0.5;
    int64_t operations = 2;
    std::vector<std::string> names;
    std::vector<double> weights;  // empty: all alike, and one may come twice
  };
  static Rand parse(const std::string& policy);
  void apply_rand(Image& image, Rng& rng, FunctionRef<AffineStyle()> style) const;

  enum class Kind { rand, three, cifar10 } kind_;
  Rand rand_;
};

// timm's operation of that name at a level of 0 to 10 (or beyond), given the sign that chance
// decides elsewhere. Error: no such operation.
void apply_timm_op(Image& image, const std::string& name, double level, bool negative,
                   const AffineStyle& style);
// torchvision's AutoAugment operation with the n-th of its ten magnitudes. Error: as above.
void apply_torchvision_op(Image& image, const std::string& name, int magnitude, bool negative);

}  // namespace vitrail
