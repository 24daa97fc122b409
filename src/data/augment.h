// Random changes to training pictures, on bytes, before normalisation. What happens to a picture
// depends on (seed, epoch, index, repetition, view) alone: neither on threads nor on the order of
// the pictures.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "image/image.h"
#include "image/resize.h"

namespace vitrail {

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
  std::string crop_filter = "bicubic";

  // Random shift: so many pixels on every side of the picture at input size, then a crop of that
  // size at a random place.
  int64_t crop_padding = 0;
  bool reflect_padding = false;  // else black

  double flip_probability = 0;  // left to right

  // Repeated augmentation (Hoffer et al., CVPR 2020): a picture stands so many times in a row in
  // the order of the epoch, which keeps its length and so meets that part of the set alone.
  int64_t repeats = 1;

  bool operator==(const AugmentOptions&) const = default;
};

struct AugmentKey {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t index = 0;   // of the picture in its set
  int64_t repeat = 0;  // which of its repetitions
  int64_t view = 0;    // which of its crops
};

// Error naming the field that is out of range.
void check_augment(const AugmentOptions& options);
// Every field by its name, flat; from_json takes the fields that it finds and leaves others alone;
// set_field is false for a name that is no field. Error: a value that the field cannot have.
nlohmann::json to_json(const AugmentOptions& options);
void from_json(const nlohmann::json& in, AugmentOptions& options);
bool set_field(AugmentOptions& options, const std::string& name, const std::string& value);

// Step one alone: a picture of width × height.
Image random_resized_crop(const Image& image, const AugmentOptions& options, const AugmentKey& key,
                          int width, int height);
// The other steps; the size stays.
void shift_and_flip(Image& image, const AugmentOptions& options, const AugmentKey& key);

}  // namespace vitrail
