// Random changes to training pictures, on bytes, before normalisation. What happens to a picture
// depends on (seed, epoch, index) alone: neither on threads nor on the order of the pictures.
#pragma once

#include <cstdint>

#include "image/image.h"
#include "image/resize.h"

namespace vitrail {

enum class PadMode { zero, reflect };

// Everything off by default. The steps run in this order.
struct AugmentOptions {
  // Random resized crop (Szegedy et al., "Going deeper with convolutions", 2015; defaults as
  // torchvision): a box of random area and aspect ratio, resized to the input size. It replaces
  // the preprocessing's own resize and crop.
  bool random_resized_crop = false;
  double min_scale = 0.08;  // of the picture's area
  double max_scale = 1.0;
  double min_ratio = 3.0 / 4.0;  // width / height
  double max_ratio = 4.0 / 3.0;
  Filter filter = Filter::bicubic;

  // Random shift: `pad` pixels on every side of the picture at input size, then a crop of that
  // size at a random place.
  int pad = 0;
  PadMode pad_mode = PadMode::zero;

  double flip_probability = 0;  // left to right
};

struct AugmentKey {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t index = 0;  // of the picture in its set
};

// Error: a scale, ratio, pad or probability outside its range.
void check_augment(const AugmentOptions& options);

// Step one alone: a picture of width × height.
Image random_resized_crop(const Image& image, const AugmentOptions& options, const AugmentKey& key,
                          int width, int height);
// The other steps; the size stays.
void shift_and_flip(Image& image, const AugmentOptions& options, const AugmentKey& key);

}  // namespace vitrail
